"""The canary report: champion against canary on live traffic, and what follows from it."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from ..core.config import PARAMS, Config, load_config
from ..core.errors import UserError
from ..core.git import shown
from ..core.server_report import fetch_report as ask
from ..core.typed_json import typed
from ..data.prediction_log.cut_off import CUT_OFF, read_cut_off
from ..data.prediction_log.log import read_predictions, read_truths
from ..registry.versions import CANARY_ROLE, CHAMPION_ROLE, SHADOW_ROLE, Assignment, current_roles
from ..stats.verdict import Verdict
from .advice import Advice, advise
from .live_metrics import Judged, judge_metrics
from .traffic import ROLES, Agreement, Challenger, Traffic, agree, describe, find_window

COLUMNS = ["id", "time", "version", "role", "key", "answer", "error", "latency_ms"]


@dataclass(frozen=True)
class CanaryReport:
    """What live traffic says of the version in a role beside the champion; its first metric is the primary one.

    `unusable` is how many truths say nothing, being no number or no class that either version knows; `contradicted` how
    many predictions have truths that contradict each other. `unread` says what of the log could not be read.
    """

    role: Challenger
    version: str
    champion: str | None
    since: str
    until: str | None
    traffic: list[Traffic]
    agreement: Agreement | None
    metrics: list[Judged]
    unusable: int
    contradicted: int
    unread: list[str]
    verdict: Verdict
    advice: Advice
    reason: str

    def to_json(self) -> str:
        """Return the report as JSON text; its key `canary` is what `mlops canary settle` acts on."""
        canary = self.version if self.role == CANARY_ROLE else None
        return json.dumps({"canary": canary, **asdict(self)}, indent=1, allow_nan=False) + "\n"


def canary_report(config: Config, directory: Path) -> CanaryReport:
    """Return what the log in a folder says of the version in the role `canary`, else of that in the role `shadow`.

    Raises:
        UserError: no version holds either role.
    """
    roles = current_roles()
    shadow = roles.get(SHADOW_ROLE)
    assignment = roles.get(CANARY_ROLE, shadow)
    if assignment is None:
        raise UserError("no version is canary or shadow; `mlops canary start` makes one the canary.")
    paired = shadow is not None and shadow.version == assignment.version
    unread: dict[str, None] = {}  # a sentence once, though both are read from the same files
    predictions = read_predictions(directory, COLUMNS, assignment.time, unread.setdefault)
    truths = read_truths(directory, unread.setdefault)
    cut_off = read_cut_off(config.path(str(CUT_OFF))).get(assignment.tag)
    champion = roles[CHAMPION_ROLE].version
    return make_report(config, assignment, predictions, truths, paired, cut_off, champion, list(unread))


def report_here() -> CanaryReport:
    """Return the report of this project's own log.

    Raises:
        UserError: it keeps none, or there is no canary.
    """
    config = load_config()
    if config.serving.log.path is None:
        raise UserError(f"{PARAMS}: serving.log.path is null, so no prediction is kept; name a folder, or use --url.")
    return canary_report(config, config.path(config.serving.log.path))


def fetch_report(url: str) -> CanaryReport:
    """Return the report of the server at a URL.

    Raises:
        UserError: it does not answer, or not with a report.
    """
    content = ask(url)
    try:
        return typed(CanaryReport, {name: value for name, value in content.items() if name != "canary"})
    except (AttributeError, ValueError, TypeError, OverflowError):
        raise UserError(
            f"{shown(url)} answered with no report that this version reads; update one of the two."
        ) from None


def make_report(
    config: Config,
    assignment: Assignment,
    predictions: pd.DataFrame,
    truths: pd.DataFrame,
    paired: bool = False,
    cut_off: str | None = None,
    named: str | None = None,
    unread: Sequence[str] = (),
) -> CanaryReport:
    """Return the report on an assignment by the log's frames.

    Args:
        config: the project.
        assignment: which version, in which role, since when.
        predictions: `COLUMNS` of what was predicted.
        truths: what came true.
        paired: whether the version is a shadow, so that it and the champion answered the same rows.
        cut_off: why the server cut the canary off.
        named: the champion by its tag, for a log that has no record of one.
        unread: what of the log could not be read, a sentence each.
    """
    role: Challenger = "canary" if assignment.role == CANARY_ROLE else "shadow"
    window = find_window(predictions, truths, assignment, config.data.task)
    metrics, unusable = judge_metrics(config, window, role, paired)
    traffic = {role: described for role in ROLES if (described := describe(window, role, config.gate.confidence))}
    champion, own = traffic.get("champion"), traffic.get(role)
    advice, reason = advise(own, champion, metrics, config.serving.canary, cut_off)
    times = window.rows["time"].iloc[window.roles[role]]
    return CanaryReport(
        role=role,
        version=assignment.version,
        champion=champion.version if champion else named,
        since=(times.min() if len(times) else assignment.time).isoformat(),
        until=times.max().isoformat() if len(times) else None,
        traffic=list(traffic.values()),
        agreement=agree(window),
        metrics=metrics,
        unusable=unusable,
        contradicted=window.contradicted,
        unread=list(unread),
        verdict=metrics[0].verdict,
        advice=advice,
        reason=reason,
    )
