"""The canary report: champion against canary on live traffic, and what follows from it."""

import json
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from ..config import PARAMS, Config, load_config
from ..errors import UserError
from ..review.report import Verdict, typed
from .advice import Advice, advise
from .assignment import Assignment, Stage, find_assignment
from .judge import Judged, judge_metrics
from .log import read_predictions, read_truths
from .traffic import ROLES, Agreement, Traffic, agree, describe, find_window

CUT_OFF = ".mlops/serving/cut-off.json"
COLUMNS = ["id", "time", "version", "role", "key", "answer", "error", "latency_ms"]
SECONDS = 60  # a server that has a million rows to read takes some


@dataclass(frozen=True)
class Report:
    """What live traffic says of the version at a stage beside the champion; its first metric is the primary one.

    `unusable` is how many truths say nothing, being no number or no class that either version knows.
    """

    stage: Stage
    version: str
    champion: str | None
    since: str
    until: str | None
    traffic: list[Traffic]
    agreement: Agreement | None
    metrics: list[Judged]
    unusable: int
    verdict: Verdict
    advice: Advice
    reason: str

    def to_json(self) -> str:
        """Return the report as JSON text."""
        return json.dumps(asdict(self), indent=1, allow_nan=False) + "\n"


def canary_report(config: Config, directory: Path) -> Report:
    """Return what the log in a folder says of the version at stage `canary`, else of that at stage `shadow`.

    Raises:
        UserError: no version holds either stage.
    """
    shadow = find_assignment("shadow")
    assignment = find_assignment("canary") or shadow
    if assignment is None:
        raise UserError("no version is at stage canary or shadow; `mlops canary start` makes one the canary.")
    paired = shadow is not None and shadow.version == assignment.version
    predictions = read_predictions(directory, COLUMNS, assignment.since)
    return make_report(config, assignment, predictions, read_truths(directory), paired, _cut_off(config, assignment))


def report_here() -> Report:
    """Return the report of this project's own log.

    Raises:
        UserError: it keeps none, or there is no canary.
    """
    config = load_config()
    if config.serving.log.path is None:
        raise UserError(f"{PARAMS}: serving.log.path is null, so no prediction is kept; name a folder, or use --url.")
    return canary_report(config, config.path(config.serving.log.path))


def fetch_report(url: str) -> Report:
    """Return the report of the server at a URL.

    Raises:
        UserError: it does not answer, or not with a report.
    """
    address = f"{url.rstrip('/')}/canary"
    try:
        with urllib.request.urlopen(address, timeout=SECONDS) as answer:
            text = answer.read()
    except urllib.error.HTTPError as error:
        said = error.read(2000).decode(errors="replace")
        raise UserError(f"{address} answered {error.code}: {said.strip() or error.reason}") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{address} cannot be read ({error}); is `mlops serve` running there?") from None
    try:
        return typed(Report, json.loads(text))
    except (ValueError, TypeError, OverflowError, RecursionError):
        raise UserError(f"{address} answered with no report that this version reads; update one of the two.") from None


def _cut_off(config: Config, assignment: Assignment) -> str | None:
    """Return why the server cut a canary off, None where it did not."""
    try:
        reasons = json.loads(config.path(CUT_OFF).read_bytes())
        return str(reasons[assignment.tag]) if assignment.tag in reasons else None
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        raise UserError(f"{CUT_OFF}: not a JSON object; remove it.") from None


def make_report(
    config: Config,
    assignment: Assignment,
    predictions: pd.DataFrame,
    truths: pd.DataFrame,
    paired: bool = False,
    cut_off: str | None = None,
) -> Report:
    """Return the report on an assignment by the log's frames.

    Args:
        config: the project.
        assignment: which version, at which stage, since when.
        predictions: `COLUMNS` of what was predicted.
        truths: what came true.
        paired: whether the version is a shadow, so that it and the champion answered the same rows.
        cut_off: why the server cut the canary off.
    """
    window = find_window(predictions, truths, assignment, config.data.task)
    metrics, unusable = judge_metrics(config, window, assignment.stage, paired)
    traffic = {role: found for role in ROLES if (found := describe(window, role, config.gate.confidence))}
    champion, own = traffic.get("champion"), traffic.get(assignment.stage)
    advice, reason = advise(own, champion, metrics, config.serving.canary, cut_off)
    times = window.rows["time"].iloc[window.roles[assignment.stage]]
    return Report(
        stage=assignment.stage,
        version=assignment.version,
        champion=champion.version if champion else None,
        since=(times.min() if len(times) else assignment.since).isoformat(),
        until=times.max().isoformat() if len(times) else None,
        traffic=list(traffic.values()),
        agreement=agree(window),
        metrics=metrics,
        unusable=unusable,
        verdict=metrics[0].verdict,
        advice=advice,
        reason=reason,
    )
