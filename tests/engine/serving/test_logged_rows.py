"""Whatever a client sends, the log has a line for each row that was answered, as it was sent, and nothing stops."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest
from baked import Project
from in_process import application
from mlops_actions.core.config import CanaryLimits, PredictionLog, Serving
from mlops_actions.core.errors import UserError
from mlops_actions.data.prediction_log.journal import Journal
from mlops_actions.data.prediction_log.log import read_predictions
from mlops_actions.serving import shadow
from mlops_actions.serving.prometheus import Metrics
from mlops_actions.serving.server import serve
from mlops_actions.serving.shadow import Shadow
from mlops_actions.serving.state import State, served_file
from mlops_actions.serving.worker import Exchange, ServedVersions

Rows = list[dict[str, Any]]
OURS = ["predictions", "prediction", "probabilities", "id", "version", "error", "rows", "many", "truth"]


@pytest.fixture
def roles(trained: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> State:
    """One bundle as champion, as canary of half the keys and as shadow."""
    monkeypatch.chdir(tmp_path)  # what the server finds out about a canary is kept here
    bundle = str(trained.path / "models/bundle.zip")
    monkeypatch.setenv("PATH", f"{trained.path / '.venv/bin'}{os.pathsep}{os.environ['PATH']}")
    champion = served_file(Path(bundle))
    return State(champion, *(type(champion)(role, bundle, champion.sha256, role, 50) for role in ("canary", "shadow")))


def type_of(value: Any) -> str:
    return "BYTES" if isinstance(value, str) else "FP64"


class Bodies(Random):
    """Bodies of requests: rows that the contract allows with whatever else beside it, and what is no row."""

    def value(self, depth: int = 3) -> Any:
        if depth and self.random() < 0.3:
            if self.random() < 0.5:
                return [self.value(depth - 1) for _ in range(self.randrange(4))]
            return {self.name(): self.value(depth - 1) for _ in range(self.randrange(4))}
        number = self.choice(
            [self.randrange(-9, 9), self.randrange(10**400), self.gauss(0, 1e9), self.random() * 1e-300]
        )
        return self.choice([None, True, number, self.text()])

    def text(self) -> str:
        letters = [chr(self.choice([self.randrange(128), self.randrange(0xD800), self.randrange(0xE000, 0x110000)]))]
        return "".join(letters * self.randrange(4))

    def name(self) -> str:
        return self.choice([*OURS, self.text()])

    def members(self, row: dict[str, Any]) -> str:
        """A row as an object: a name may come twice, and values nest; the order is any, the spaces are any."""
        pairs = [(name, json.dumps(value)) for name, value in row.items()]
        pairs += [(self.name(), json.dumps(self.value(), ensure_ascii=self.random() < 0.5)) for _ in range(3)]
        if self.random() < 0.1:
            depth = self.randrange(1, 1200)
            pairs.append(("deep", "[" * depth + "]" * depth))
        if self.random() < 0.2:
            pairs.append((self.choice([*row]), json.dumps(self.value())))
        self.shuffle(pairs)
        space = self.choice(["", " ", "\n\t"])
        shown = (f"{json.dumps(name)}:{space}{text}" for name, text in pairs)
        return f"{space}{{{f',{space}'.join(shown)}{space}}}{space}"

    def one(self, rows: Rows) -> str:
        none = ["NaN", '"\\ud800"', "1e999", "{", "[[]]", '{"predictions": [{}]}', json.dumps(self.value())]
        return self.members(self.choice(rows)) if self.random() < 0.9 else self.choice(none)

    def body(self, rows: Rows) -> bytes:
        if self.random() < 0.5:
            return self.one(rows).encode()
        return f" [{','.join(self.one(rows) for _ in range(self.randrange(5)))}]".encode()


def test_each_row_that_is_answered_has_one_line_with_the_row_as_it_was_sent(
    roles: State, rows: Rows, tmp_path: Path
) -> None:
    bodies = [Bodies(number).body(rows) for number in range(500)]
    answered: dict[str, Any] = {}
    canary = CanaryLimits(max_latency_ratio=1000)  # it is as quick as the champion, but on a busy machine
    with application(roles, tmp_path / "log", key=["state"], canary=canary) as app:
        for body in bodies:
            answer = app.ask("/predict", body)
            if answer.status == 200:
                said = json.loads(answer.body)
                sent = json.loads(body)
                pairs = zip(sent, said["predictions"], strict=True) if isinstance(sent, list) else [(sent, said)]
                answered.update({answer["id"]: row for row, answer in pairs if "id" in answer})
        for row in rows[:20]:
            tensors = {**row, "predictions": json.dumps([row]), "id": 10**400}
            inputs = [
                {"name": name, "shape": [1], "datatype": type_of(value), "data": [value]}
                for name, value in tensors.items()
            ]
            answer = app.ask("/v2/models/model/infer", json.dumps({"inputs": inputs}).encode())
            assert answer.status == 200
            said = json.loads(answer.body)
            answered[said["outputs"][-1]["data"][0]] = row  # what the contract does not know is not read
    lines = read_predictions(tmp_path / "log", tell=pytest.fail)
    own, shadow = lines[lines["role"] != "shadow"], lines[lines["role"] == "shadow"]
    assert len(answered) > 300 and set(own["role"]) == {"champion", "canary"} and own["error"].isna().all()
    assert own["id"].is_unique and set(own["id"]) == answered.keys()
    assert len(shadow) and shadow["id"].is_unique and set(shadow["id"]) <= answered.keys()
    assert all(json.loads(row) == answered[id] for id, row in zip(lines["id"], lines["row"], strict=True))
    assert not [*(tmp_path / "log").glob("*.log")], "it all became Parquet"


def test_metrics_count_what_was_set_aside(tmp_path: Path) -> None:
    journal, metrics = Journal(PredictionLog(path=str(tmp_path))), Metrics()
    (tmp_path / "aside-1.log").touch()
    page = metrics.page(ServedVersions(Serving(), journal, metrics)).decode()
    (tmp_path / "aside-1.log").unlink()
    journal.close()
    assert "\nmlops_log_set_aside 1.0\n" in page and "\nmlops_log_lost 0.0\n" in page


def test_a_server_whose_log_cannot_be_written_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="^the prediction log cannot be kept in "):
        serve(Serving(log=PredictionLog(path=str(tmp_path / "file")), port=0))


def test_rows_that_the_process_beside_the_server_cannot_read_do_not_end_it(trained: Project, rows: Rows) -> None:
    command = [sys.executable, "-m", "mlops_actions.serving.child", str(trained.path / "models/bundle.zip")]
    sent = [b"[" * 100_000, json.dumps([rows[0]]).encode()]
    content = b"".join(len(one).to_bytes(4, "big") + one for one in sent)
    said = subprocess.run(command, input=content, capture_output=True, check=True).stdout
    answers = []
    while said:
        size = int.from_bytes(said[:4], "big")
        answers.append(json.loads(said[4 : 4 + size]))
        said = said[4 + size :]
    ready, refused, (values, problems) = answers
    assert ready == "ready" and refused.startswith("RecursionError: ") and (len(values), problems) == (1, {})


class Fails:
    """A lane that fails on its first rows as no model should, and answers the others."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    async def answer(self, rows: Rows) -> list[Any]:
        self.seen.append(rows)
        if len(self.seen) == 1:
            raise RecursionError("too deep")
        return [{"prediction": "no"}]

    async def close(self) -> None:
        pass


def test_a_shadow_outlives_whatever_a_row_does_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shadow, "PAUSE", 0)
    noted: list[tuple[Any, str | None]] = []

    async def watch() -> None:
        seeing = Shadow(lane := Fails(), lambda exchange, rows, said, why, took: noted.append((said, why)))
        for body in (b"{", b"{}", b"{}"):
            seeing.offer(Exchange("", 0, None), body)
        async with asyncio.timeout(30):
            while len(noted) < 3:
                await asyncio.sleep(0)
        assert len(lane.seen) == 2
        await seeing.close()

    asyncio.run(watch())
    assert [why for _, why in noted] == [
        "DecodeError: Input data was truncated",
        "RecursionError: too deep",
        None,
    ] and noted[2][0] == [{"prediction": "no"}]
