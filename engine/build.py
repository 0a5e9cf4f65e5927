"""Builds the engine's wheel into a copy of the template: vendor/, and what names the wheel beside it."""

import hashlib
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ENGINE = Path(__file__).parent
PROJECT = "{{cookiecutter.project_slug}}"
NAME = re.compile(r"mlops_actions-[0-9][^\"\s/]*-py3-none-any\.whl")


def build(folder: Path, source: Path = ENGINE) -> Path:
    """Return the wheel, built into a folder; the same source gives the same bytes."""
    command = [
        sys.executable,
        "-m",
        "uv",
        "build",
        "--quiet",
        "--wheel",
        "--no-create-gitignore",
        "--out-dir",
        folder,
        source,
    ]
    subprocess.run(command, check=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def renew(template: Path, source: Path = ENGINE) -> None:
    """Replace the template's wheel by a fresh build, with its name and digest wherever the template has them."""
    project = template / PROJECT
    vendor = project / "vendor"
    with tempfile.TemporaryDirectory() as folder:
        wheel = build(Path(folder), source)
        content = wheel.read_bytes()
        vendor.mkdir(exist_ok=True)
        for former in vendor.glob("*.whl"):
            former.unlink()
        (vendor / wheel.name).write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    for file in (project / "pyproject.toml", project / "uv.lock"):
        text = NAME.sub(wheel.name, file.read_text("utf-8"))
        text = re.sub(rf'("{re.escape(wheel.name)}", hash = "sha256:)[0-9a-f]+', rf"\g<1>{digest}", text)
        file.write_text(text, "utf-8")


if __name__ == "__main__":
    renew(Path(__file__).parents[1])
