"""`mlops serve` follows the tags on origin: champion, canary and shadow come, go and fail while it answers."""

import asyncio
import hashlib
import json
import os
import re
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, chdir
from pathlib import Path
from typing import Any

import pandas
import pytest
from baked import Project
from local_github.sigstore import Job, Sigstore
from mlops_actions.core.config import PredictionLog, Serving
from mlops_actions.core.paths import BUNDLE
from mlops_actions.data.prediction_log.log import read_predictions
from mlops_actions.serving import follow
from mlops_actions.serving.app import make_app
from mlops_actions.serving.state import STATE, State, read_state, served_file, write_state
from mlops_actions.serving.worker import ServedVersions
from releases import mlops_in, retrain, tag_version
from serving import STARTED, Server, children, command_of, serve, wait_until
from tables import DATA, knob

Rows = list[dict[str, Any]]


class Origin:
    """A bare repository, and the desk from which versions are published and moved."""

    def __init__(self, desk: Project, bare: Path) -> None:
        self.desk, self.bare = desk, bare

    def __call__(self, *words: str) -> None:
        """Run `mlops WORDS` at the desk."""
        mlops_in(self.desk, *words)

    def send(self, version: str) -> None:
        """Bring a version to origin."""
        self("push")
        self.desk.run("git", "push", "--quiet", "--no-verify", "origin", "main", f"model@{version}")

    def publish(self, version: str, file: str, change: Callable[[str], str]) -> None:
        """Publish a version whose `file` is changed."""
        self.desk.write(file, change(self.desk.read(file)))
        retrain(self.desk)
        tag_version(self.desk, version)
        self.send(version)


@pytest.fixture(scope="module")
def origin(versioned: Project, tmp_path_factory: pytest.TempPathFactory) -> Origin:
    """v1.0.0; v1.1.0, regularised; v2.0.0, which refuses other plans than yes and no; v2.1.0, which needs pandas."""
    root = tmp_path_factory.mktemp("origin")
    shutil.copytree(versioned.path, root / "desk", symlinks=True)
    desk, bare = Project(root / "desk"), root / "origin.git"
    desk.run("git", "init", "--quiet", "--bare", "--initial-branch", "main", bare)
    desk.run("git", "remote", "add", "origin", bare)
    made = Origin(desk, bare)
    made.send("v1.0.0")
    made.publish("v1.1.0", "params.yaml", knob("params: {}", "params: {C: 0.001}"))
    plan = "international_plan: {type: category, missing: false"
    made.publish("v2.0.0", "schema.yaml", knob(plan, f'{plan}, values: ["no", "yes"]'))
    added = "    rows['odd'] = rows['total_day_calls'].apply(lambda calls: calls % 7)\n    return rows\n"
    made.publish("v2.1.0", "src/customer_churn/features.py", lambda text: text.replace("    return rows\n", added))
    return made


@pytest.fixture
def cloned(origin: Origin, tmp_path: Path) -> Project:
    """A clone of origin."""
    origin.desk.run("git", "clone", "--quiet", origin.bare, tmp_path / "clone")
    clone = Project(tmp_path / "clone")
    clone.set(**{"serving.follow_seconds": 1})
    return clone


@pytest.fixture
def following(cloned: Project) -> Callable[..., AbstractContextManager[Server]]:
    """`with following("--workers", "2") as server`: the clone serves what the tags of origin say."""
    return lambda *words, ready=True: serve(cloned, *words, ready=ready)


@pytest.fixture(scope="module")
def rows(versioned: Project) -> Rows:
    return json.loads(pandas.read_csv(versioned.path / DATA).drop(columns="churn").to_json(orient="records"))


@pytest.fixture(autouse=True)
def champion(origin: Origin) -> Iterator[None]:
    """v1.0.0 in production before each test, and nothing beside it."""
    origin("promote", "v1.0.0", "--reason", f"to begin with {time.monotonic()}")
    for role in ("canary", "shadow"):
        origin(role, "stop", "--reason", "to begin with")
    yield


def roles(server: Server) -> dict[str, str]:
    return server.ask("/v2/health/ready").body["roles"]


def kept(there: Path) -> Rows:
    """The predictions in a project's log."""
    return read_predictions(there / "predictions").to_dict("records")


def versions(server: Server, rows: Rows, keys: list[str]) -> dict[str, str]:
    """The version that answers each key."""
    with ThreadPoolExecutor(8) as pool:
        said = pool.map(lambda key: server.ask("/predict", rows[len(key)], X_Request_Key=key), keys)
        return {key: reply.body["version"] for key, reply in zip(keys, said, strict=True)}


def test_no_version_yet_is_a_state_and_not_a_crash(
    trained: Project,
    tmp_path: Path,
) -> None:
    young = Project(tmp_path / "young")
    shutil.copytree(trained.path, young.path)
    young.set(**{"serving.follow_seconds": 1})
    young.run("git", "init", "--quiet", "--initial-branch", "main")
    young.commit("Begin")
    young.run("git", "init", "--quiet", "--bare", tmp_path / "bare")
    young.run("git", "remote", "add", "origin", tmp_path / "bare")
    with serve(young, ready=False) as server:
        wait_until(lambda: "no version is published yet" in str(server.ask("/v2/health/ready").body))
        status, body, headers = server.ask("/predict", {})
        assert status == 503 and "no version is published yet" in body["error"] and headers["retry-after"]
        assert server.ask("/v2/health/live").status == 200


def test_a_version_that_arrives_while_a_worker_begins_is_served(
    trained: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    apply = ServedVersions.apply

    async def apply_late(versions: ServedVersions, state: State) -> None:
        await apply(versions, state)
        if read_state() is None:
            write_state(State(served_file(trained.path / BUNDLE)))

    monkeypatch.setattr(ServedVersions, "apply", apply_late)

    async def first_version() -> str:
        app = make_app(Serving(log=PredictionLog(path=None)))
        versions = app.direct["POST", "/predict"].engine
        async with app.router.lifespan_context(app), asyncio.timeout(STARTED):
            while versions.champion is None:
                await asyncio.sleep(0.01)
            return versions.champion.served.version

    assert asyncio.run(first_version())


def test_moves_of_roles_are_followed_without_a_restart_and_no_request_is_lost(
    origin: Origin, following: Callable[..., Any], rows: Rows
) -> None:
    with following("--workers", "2") as server:
        wait_until(lambda: server.said().count("v1.0.0 passed its self-test") == 2)  # both workers
        promote_and_roll_back(origin, server, rows)
        begun = server.said().count("v1.1.0 passed its self-test")
        origin("canary", "start", "v1.1.0", "--share", "20", "--reason", "to try it")
        wait_until(lambda: server.said().count("v1.1.0 passed its self-test") == begun + 2)
        raise_share(origin, server, rows)


def promote_and_roll_back(origin: Origin, server: Server, rows: Rows) -> None:
    """Move the champion there and back while somebody asks, and see every request answered."""
    with ThreadPoolExecutor(1) as pool:
        ended = False
        seen: list[tuple[int, str]] = []

        def ask() -> None:
            while not ended:
                status, body, _ = server.ask("/predict", rows[len(seen) % 400])
                seen.append((status, body.get("version", "")))

        asking = pool.submit(ask)
        try:
            for words, version in ((("promote", "v1.1.0"), "v1.1.0"), (("rollback",), "v1.0.0")):
                origin(*words, "--reason", "to see it")
                wait_until(lambda version=version: Counter(said for _, said in seen[-20:]) == {version: 20})
        finally:
            ended = True
        asking.result()
    assert {status for status, _ in seen} == {200}
    assert {version for _, version in seen} == {"v1.0.0", "v1.1.0"}


def raise_share(origin: Origin, server: Server, rows: Rows) -> None:
    """See a canary get its share of the keys, and each key stay with its version, also when the share grows."""
    keys = [f"customer {number}" for number in range(200)]
    first = versions(server, rows, keys)
    assert versions(server, rows, keys) == first
    share = Counter(first.values())["v1.1.0"] / len(keys)
    assert abs(share - 0.2) < 3.3 * (0.2 * 0.8 / len(keys)) ** 0.5  # 99.9 %
    undecided = Counter(server.ask("/predict", rows[0]).body["version"] for _ in range(150))
    assert 10 < undecided["v1.1.0"] < 55
    origin("canary", "start", "v1.1.0", "--share", "60", "--reason", "more of it")
    more = wait_until(lambda: Counter((found := versions(server, rows, keys)).values())["v1.1.0"] > 100 and found)
    assert all(more[key] == "v1.1.0" for key, version in first.items() if version == "v1.1.0")


def test_rows_of_one_request_go_by_the_keys_that_params_name_and_the_report_tells_what_truths_say(
    origin: Origin, cloned: Project, following: Callable[..., Any], rows: Rows, versioned: Project
) -> None:
    origin("canary", "start", "v1.1.0", "--share", "50", "--reason", "to try it")
    cloned.set(**{"serving.key": ["state"]})
    with following() as server:
        assert server.ask("/canary").status in (200, 409)
        wait_until(lambda: roles(server).get("canary") == "v1.1.0")
        said = server.ask("/predict", rows).body["predictions"]
        by_state: dict[str, set[str]] = {}
        for row, answer in zip(rows, said, strict=True):
            by_state.setdefault(row["state"], set()).add(answer["version"])
        assert {len(found) for found in by_state.values()} == {1}
        assert set.union(*by_state.values()) == {"v1.0.0", "v1.1.0"}
        assert len({answer["id"] for answer in said}) == len(rows)
        tell_truths(server, rows, pandas.read_csv(versioned.path / DATA)["churn"])


def tell_truths(server: Server, rows: Rows, truth: pandas.Series) -> None:
    """Let every truth come back, and see the report of live traffic tell what they say."""
    truths = []
    for number, row in enumerate(rows):
        answer = server.ask("/predict", row, X_Request_Key=str(number)).body
        truths.append({"id": answer["id"], "truth": truth[number]})
    assert server.ask("/feedback", truths).body == {"kept": 400}
    report = wait_until(lambda: (body := server.ask("/canary").body)["traffic"][0].get("truths") and body)
    assert (report["canary"], report["champion"]) == ("v1.1.0", "v1.0.0")
    told = {one["role"]: one["truths"] for one in report["traffic"]}
    assert sum(told.values()) == 400 and min(told.values()) > 150
    assert report["metrics"][0]["low"] < report["metrics"][0]["high"]
    assert report["advice"] in ("promote", "watch", "stop")


def child_of(server: Server) -> int | None:
    """Return the process that answers for a version beside a server, if one runs."""
    found = [pid for pid in children(server.process.pid) if "serving.child" in command_of(pid)]
    return found[0] if found else None


def test_a_shadow_harms_nobody_and_as_a_canary_whose_process_dies_it_is_cut_off_while_every_request_is_answered(
    origin: Origin, following: Callable[..., Any], rows: Rows, cloned: Project
) -> None:
    origin("shadow", "start", "v2.1.0", "--reason", "to watch it")
    with following() as server:
        wait_until(lambda: roles(server) == {"champion": "v1.0.0", "shadow": "v2.1.0"})
        watch_shadow(server, rows, cloned.path)
        origin("shadow", "stop", "--reason", "seen enough")
        origin("canary", "start", "v2.1.0", "--share", "100", "--reason", "to try it")
        wait_until(lambda: roles(server) == {"champion": "v1.0.0", "canary": "v2.1.0"})
        assert server.ask("/predict", rows[0]).body["version"] == "v2.1.0"
        said = set()
        deadline = time.monotonic() + 60
        while "is cut off" not in server.said() and time.monotonic() < deadline:
            if child := child_of(server):
                os.kill(child, signal.SIGKILL)
            said |= {server.ask("/predict", row).status for row in rows[:3]}
        assert said == {200} and "of its last" in server.said()
        assert server.ask("/predict", rows[0]).body["version"] == "v1.0.0"


def watch_shadow(server: Server, rows: Rows, log: Path) -> None:
    """See the shadow get every request and answer none; then let it hang and die, and see nobody notice."""
    answers = [server.ask("/predict", row).body for row in rows[:100]]
    answers += server.ask("/predict", rows[100:120]).body["predictions"]
    assert {answer["version"] for answer in answers} == {"v1.0.0"}
    seen = wait_until(lambda: len(found := [one for one in kept(log) if one["role"] == "shadow"]) >= 120 and found)
    by_id = {answer["id"]: answer for answer in answers}
    assert {one["id"] for one in seen} == by_id.keys() and {one["version"] for one in seen} == {"v2.1.0"}
    said = [(json.loads(one["answer"])["probabilities"], by_id[one["id"]]["probabilities"]) for one in seen]
    assert any(shadow != champion for shadow, champion in said), "another model"
    child = child_of(server)
    assert child
    os.kill(child, signal.SIGSTOP)  # a shadow that hangs
    try:
        begun = time.monotonic()
        assert {server.ask("/predict", row).status for row in rows[:50]} == {200}
        assert time.monotonic() - begun < 5
    finally:
        os.kill(child, signal.SIGKILL)
    assert {server.ask("/predict", row).status for row in rows[:20]} == {200}


def test_tags_made_by_hand_serve_nobody_and_are_told_when_they_come(
    origin: Origin, following: Callable[..., Any], cloned: Project
) -> None:
    cloned.run("git", "commit", "--quiet", "--allow-empty", "--message", "Something else")
    with following() as server:
        for name in ("model@v8.0.0", "model#prod#999"):
            cloned.run("git", "tag", "--annotate", "--message=by hand", name)
            cloned.run("git", "push", "--quiet", "--no-verify", "origin", name)
        told = "serve: model#prod#999: ignored, for no version is there; model@v8.0.0: ignored, for `mlops version` did"
        wait_until(lambda: told in server.said())
        assert roles(server) == {"champion": "v1.0.0"}
        origin("canary", "start", "v1.1.0", "--share", "50", "--reason", "to try it")
        wait_until(lambda: roles(server).get("canary") == "v1.1.0")
        assert server.said().count(told) == 1
    cloned.run("git", "push", "--quiet", "--no-verify", "origin", "--delete", "model@v8.0.0", "model#prod#999")


def test_a_canary_that_refuses_what_the_champion_answers_is_cut_off_and_stays_it_where_a_server_starts_without_origin(
    origin: Origin, following: Callable[..., Any], rows: Rows, cloned: Project
) -> None:
    origin("canary", "start", "v2.0.0", "--share", "100", "--reason", "to try it")
    odd = {**rows[0], "international_plan": "maybe"}
    with following() as server:
        wait_until(lambda: roles(server).get("canary") == "v2.0.0")
        assert server.ask("/predict", rows[0]).body["version"] == "v2.0.0"
        rescued = server.ask("/predict", [odd, rows[1]]).body["predictions"]
        assert [answer["version"] for answer in rescued] == ["v1.0.0", "v2.0.0"]
        assert {server.ask("/predict", odd).body["version"] for _ in range(5)} == {"v1.0.0"}
        assert "the canary v2.0.0 is cut off: 2 of its last" in server.said()
        assert roles(server) == {"champion": "v1.0.0"}
        assert "mlops_canary_cut_off 1.0" in server.ask("/metrics").body
        failed = wait_until(lambda: [one for one in kept(cloned.path) if isinstance(one["error"], str)])
        assert "refuses what the champion answers: the column 'international_plan'" in failed[0]["error"]
        report = server.ask("/canary").body
        assert (report["canary"], report["champion"], report["advice"]) == ("v2.0.0", "v1.0.0", "stop")
        assert "cut it off" in report["reason"]
    cloned.run("git", "remote", "set-url", "origin", cloned.path / "gone")
    with following() as server:
        assert server.ask("/predict", rows[0]).body["version"] == "v1.0.0"
        wait_until(lambda: "the roles cannot be followed now" in server.said())
        wait_until(lambda: "mlops_canary_cut_off 1.0" in server.ask("/metrics").body)
        assert {server.ask("/predict", row).body["version"] for row in rows[:20]} == {"v1.0.0"}
        cloned.run("git", "remote", "set-url", "origin", origin.bare)
        origin("canary", "start", "v2.0.0", "--share", "99", "--reason", "another try")
        wait_until(lambda: roles(server).get("canary") == "v2.0.0")


def test_what_was_served_is_forgotten_once_an_attestation_is_required_that_it_lacks(
    cloned: Project, following: Callable[..., Any], rows: Rows
) -> None:
    with chdir(cloned.path):
        assert follow.main() == 0
        served = read_state()
        STATE.write_text("{")
        assert follow.main() == 0 and read_state() == served, "what cannot be read is written anew"
    sigstore, job = Sigstore(), Job("your-github-login/customer-churn")
    cloned.write("root.json", json.dumps(sigstore.trusted_root()))
    cloned.set(**{"serving.attestation.required": True, "serving.attestation.trusted_root": "root.json"})
    with following(ready=False) as server:
        wait_until(lambda: "is no repository on GitHub, so it has no releases" in server.said())
        assert re.search(r"serve: \S+/v1\.0\.0-\w+\.zip: refused, there is no v1\.0\.0", server.said())
        assert server.ask("/predict", rows[0]).status == 503
        (bundle,) = (cloned.path / ".mlops/serving/bundles").glob("*.zip")
        digest = hashlib.sha256(bundle.read_bytes()).hexdigest()
        proof = sigstore.sign(job, job.statement({"bundle.zip": digest}))
        bundle.with_name(f"{bundle.name}.sigstore.json").write_text(json.dumps(proof))
        wait_until(server.is_ready)
        assert server.ask("/predict", rows[0]).body["version"] == "v1.0.0"
