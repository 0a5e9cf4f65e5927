"""`mlops serve --bundle`: what is asked over HTTP, and what is answered."""

import json
import re
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from baked import Project, run
from mlops_actions.bundle.archive import load_bundle
from mlops_actions.core.config import load_config
from mlops_actions.core.paths import BUNDLE
from mlops_actions.serving.feedback import ID
from mlops_actions.serving.worker import IDS, draw_ids
from mlops_actions.stages.predict import predict
from serving import Server
from tables import DATA

Rows = list[dict[str, Any]]
# That there is one tensor for each column is more than OpenAPI can say, so some that it allows are refused.
LESS_THAN_ALL = """
[[operations]]
include-path = "/v2/models/model/infer"
checks.positive_data_acceptance.enabled = false
"""


def test_a_row_gets_its_prediction_probabilities_version_and_id(server: Server, rows: Rows) -> None:
    status, body, _ = server.ask("/predict", rows[0])
    assert status == 200
    assert body["prediction"] in ("yes", "no") and body["probabilities"].keys() == {"yes", "no"}
    assert sum(body["probabilities"].values()) == pytest.approx(1)
    assert body["version"] and body["id"] != server.ask("/predict", rows[0]).body["id"]


def test_an_id_tells_no_other(server: Server, rows: Rows) -> None:
    drawn = [*islice(draw_ids(), 3 * IDS)]
    assert len({*drawn}) == 3 * IDS and all(ID.fullmatch(f"{id}-0") for id in drawn)
    assert all(len({*letters}) == 16 for letters in zip(*drawn, strict=True)), "no letter of it is known beforehand"
    several = [one["id"] for one in server.ask("/predict", rows[:3]).body["predictions"]]
    assert [id.rpartition("-")[2] for id in several] == ["0", "1", "2"]
    asked = {server.ask("/predict", row).body["id"][:12] for row in rows[:20]}
    assert len(asked) == 20


def test_every_row_is_answered_as_the_command_predicts_it(server: Server, trained: Project, rows: Rows) -> None:
    expected = predict(load_config(trained.path), trained.path / DATA, load_bundle(trained.path / BUNDLE))
    said = server.ask("/predict", rows).body["predictions"]
    assert [one["prediction"] for one in said] == list(expected["prediction"])
    assert [one["probabilities"]["yes"] for one in said] == pytest.approx(list(expected["probability_yes"]), abs=1e-6)
    alone = [server.ask("/predict", row).body["probabilities"]["yes"] for row in rows[:20]]
    assert alone == pytest.approx(list(expected["probability_yes"][:20]), abs=1e-6)


def test_one_bad_row_does_not_sink_a_batch(server: Server, rows: Rows) -> None:
    bad = {**rows[1], "total_day_calls": "many"}
    status, body, _ = server.ask("/predict", [rows[0], bad, rows[2], 7, {**rows[1], "state": 10**400}])
    assert status == 200
    first, second, third, fourth, fifth = body["predictions"]
    assert fifth["column"] == "state" and "a number that a float can hold, but is 1000000000" in fifth["error"]
    assert second["column"] == "total_day_calls" and "must hold a number, but is 'many'" in second["error"]
    assert "must be an object" in fourth["error"] and fourth["column"] is None
    assert [first["prediction"], third["prediction"]] == [
        server.ask("/predict", row).body["prediction"] for row in (rows[0], rows[2])
    ]


@pytest.mark.parametrize(
    ("change", "column", "reason"),
    [
        ({"state": None}, "state", "is missing (null), which schema.yaml does not allow"),
        ({"state": ["KS"]}, "state", "must hold one value, but is a list"),
        ({"total_day_calls": True}, "total_day_calls", "must hold a number, but is True"),
        ({"total_day_calls": 1e39}, "total_day_calls", "must be finite in float32"),
        ({"total_day_calls": 10**400}, "total_day_calls", "must be finite in float32"),
        ({"total_day_calls": {}}, "total_day_calls", "must hold one value"),
        ({"total_day_calls": ...}, "total_day_calls", "is absent"),
    ],
)
def test_a_value_that_breaks_the_contract_is_named(
    server: Server, rows: Rows, change: dict[str, Any], column: str, reason: str
) -> None:
    row = {name: value for name, value in {**rows[0], **change}.items() if value is not ...}
    status, body, _ = server.ask("/predict", row)
    assert (status, body["column"]) == (422, column)
    assert reason in body["error"]


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"", 400, "not valid JSON"),
        (b"{", 400, "not valid JSON"),
        (b"\xff\xfe", 400, "not valid JSON"),
        (b'{"a": NaN}', 400, "not valid JSON"),
        (b"[" * 100_000, 400, "not valid JSON"),
        (b"[]", 422, "no rows"),
        (b"null", 422, "must be an object"),
        (b'"text"', 422, "must be an object"),
        (b"[[1]]", 422, "must be an object"),
        (json.dumps([{}] * 2001).encode(), 422, "2001 rows are more than 2000"),
        (b" " * 11_000_000, 413, "larger than 10 MB"),
    ],
)
def test_a_body_that_is_no_rows_is_refused(server: Server, body: bytes, status: int, said: str) -> None:
    found = server.ask("/predict", body)
    problem = found.body.get("error") or found.body["predictions"][0]["error"]
    assert found.status == status and said in problem


def test_an_unknown_path_or_method_is_an_error_in_json(server: Server) -> None:
    assert server.ask("/nothing") == (404, {"error": "Not Found"}, server.ask("/nothing").headers)
    status, body, headers = server.ask("/predict")
    assert (status, headers["allow"]) == (405, "POST")
    assert body["error"]


def test_metrics_count_what_was_answered(server: Server, rows: Rows) -> None:
    version = server.ask("/predict", rows[0]).body["version"]

    def count() -> float:
        name = f'mlops_predictions_total{{role="champion",version="{version}"}}'
        lines = dict(line.rsplit(" ", 1) for line in server.ask("/metrics").body.splitlines() if line[0] != "#")
        return float(lines[name])

    before = count()
    server.ask("/predict", rows[:7])
    assert count() == before + 7
    assert f'mlops_served{{role="champion",version="{version}"}} 1.0' in server.ask("/metrics").body


def test_the_server_keeps_to_its_openapi_document(server: Server, tmp_path: Path) -> None:
    (tmp_path / "schemathesis.toml").write_text(LESS_THAN_ALL)
    schemathesis = Path(sys.executable).with_name("schemathesis")
    options = ["--max-examples", "15", "--generation-deterministic", "--no-color"]
    done = run(schemathesis, "run", f"{server.url}/openapi.json", *options, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stdout[-3000:]


def test_the_page_has_all_it_shows_on_this_server(server: Server) -> None:
    page = server.ask("/docs").body
    named = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(named) == 2 and all(server.ask(path).status == 200 for path in named)
    assert not re.findall(r"https?://", page)
