"""A generated project's code, kept in one process: its imports are paid for once."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from baked import Project, environment


class Inside:
    """The code of a generated project in one process for all tests: `inside("train", project.path)`."""

    def __init__(self, project: Project, log: Path, script: str = "inside.py") -> None:
        self.log = log
        self.process = subprocess.Popen(
            [project.path / ".venv/bin/python", "-W", "error::FutureWarning", Path(__file__).with_name(script)],
            env=environment(PYTHONHASHSEED="0"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log.open("w"),
            text=True,
        )

    def __call__(self, name: str, root: Path, **options: Any) -> Any:
        assert self.process.stdin and self.process.stdout
        print(json.dumps([name, str(root), options]), file=self.process.stdin, flush=True)
        answer = json.loads(self.process.stdout.readline() or "{}")
        if "answer" not in answer:
            pytest.fail(answer.get("traceback") or self.log.read_text())
        return answer["answer"]

    def stop(self) -> None:
        self.process.communicate(timeout=60)
