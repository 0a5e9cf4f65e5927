"""The verdict through the workflows, with its pictures; tests/engine/review/test_duels.py has the other sentences."""

import json
import re
from collections.abc import Callable

from desk import OWNER, Desk, find_run
from local_github import LocalGitHub, PullRequest, Repository, Run
from test_pictures import fetch

Clone = Callable[..., Desk]
RAISES = '''"""How good an answer is to us."""


def profit(truth, answers):
    """Return what the answers earn."""
    raise ValueError("no prices")
'''


def review(pull: PullRequest) -> tuple[Run, str]:
    """The retrain of a pull request's last push, and its one comment, however the verdict is."""
    find_run(pull.runs, "report").expect("success")
    retrain = find_run(pull.runs, "retrain")
    (comment,) = pull.comments()
    assert "Traceback" not in retrain.log + comment["body"]
    assert comment["body"].startswith("### ✅ " if retrain.conclusion == "success" else "### ❌ ")
    return retrain, comment["body"]


def test_a_better_model_passes_and_its_pictures_can_be_looked_at_and_a_run_that_breaks_is_red(
    hub: LocalGitHub, published: Repository, clone: Clone
) -> None:
    desk = clone(published)
    desk.set(**{"model.estimator": "hist_gradient_boosting", "model.params": {"max_iter": 60}})
    desk.train()
    pull = desk.propose("better", "Boost")
    retrain, body = review(pull)
    retrain.expect("success")
    line = body.partition("\n")[0]
    sentence = r"### ✅ Better: `roc_auc` 0\.\d{4}, \+0\.\d{4} \[.+\] against `v1\.0\.0`: the interval lies above zero"
    assert re.fullmatch(sentence, line)
    rows = [row[2:-2].split(" | ") for row in body.splitlines() if row.startswith("| ")]
    cells = {row[0]: row[1:] for row in rows}
    assert [name in cells for name in ("**`roc_auc`**", "`f1`", "`log_loss` ↓")] == [True] * 3
    champion, candidate, change, ruling = cells["**`roc_auc`**"]
    gain, low, high = (float(number) for number in re.findall(r"[+−]\d+\.\d+", change))
    assert 0 < low <= gain <= high and abs(gain - (float(candidate) - float(champion))) < 1.01e-4
    assert ruling == "threshold met; better"
    assert re.search(r"Both answered the same \d{3} test rows\. They can show a change of 0\.\d+ or more", body)

    files = retrain.artifacts["report"].read()
    plots = {"roc", "precision_recall", "calibration", "confusion", "interval"}
    pictures = {f"pictures/{plot}-{theme}.png" for plot in plots for theme in ("light", "dark")}
    assert set(files) == {"report.json", "report.html"} | pictures
    assert all(files[name].startswith(b"\x89PNG\r\n") for name in pictures)
    assert json.loads(files["report.json"])["passed"]
    page = files["report.html"].decode()
    assert "Better" in page and not re.search(r"""(?:src|href)=["']?https?://(?!127)""", page), "no CDN"
    linked = re.findall(rf"{re.escape(hub.url)}/{published.name}/raw/([0-9a-f]{{40}})/([a-z_]+-[a-z]+)\.png", body)
    assert {f"pictures/{name}.png" for _, name in linked} == pictures and len({commit for commit, _ in linked}) == 1
    for commit, name in linked:
        status, kind, content = fetch(hub, f"{hub.url}/{published.name}/raw/{commit}/{name}.png", OWNER)
        assert (status, kind, content) == (200, "image/png", files[f"pictures/{name}.png"])
    alternatives = re.findall(r'<img [^>]*alt="([^"]+)"', body)
    assert len(alternatives) == len(plots)
    assert re.search(r"ROC: roc auc of champion 0\.\d{4}, candidate 0\.\d{4}", " ".join(alternatives))

    (desk.path / "src/customer_churn/metrics.py").write_text(RAISES)
    desk.commit("Count euros")
    published.push(desk.path, "better")
    raising, body = review(pull)
    raising.expect("failure")
    assert "The metric profit raised ValueError: no prices in src/customer_churn/metrics.py:" in raising.log
    assert not raising.artifacts
    assert body.startswith("### ❌ The retrain ended before a verdict\n") and f"({raising.url}) say why." in body
