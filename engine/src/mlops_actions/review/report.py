"""The report: what a run found, as data.

A pull request's run writes `report.json`; the job that comments reads it back. That job trusts nothing of the pull
request, so the file carries data only, and `read_report` checks every type.

Only the standard library is imported: the job that comments installs no third-party package.
"""

import json
from dataclasses import asdict, dataclass, field
from typing import Literal, get_args

from ..core.errors import UserError
from ..core.typed_json import typed
from ..stats.verdict import Verdict

FORMAT = 5
Rule = Literal["threshold", "champion", "guard", "slice", "cost"]
Model = Literal["champion", "candidate"]
PlotName = Literal["roc", "precision_recall", "calibration", "predicted_actual", "residuals"]
CostName = Literal["model_mb", "latency_ms", "training_seconds"]
NoteKind = Literal["own_rows", "absent_classes", "new_classes", "gone_classes", "constant", "same_model", "not_fetched"]
# What the candidate is compared with: the version in production, what a person named, or, before the first release,
# the last commit or the one that a run's change is made to.
Baseline = Literal["champion", "named", "head", "base"]
PLOTS: tuple[PlotName, ...] = get_args(PlotName)


@dataclass(frozen=True)
class MetricChange:
    """One metric of champion and candidate on the same rows; None where it is undefined or not compared.

    `low` and `high` bound the change, candidate less champion in the metric's unit, at the gate's confidence.
    """

    name: str
    greater_is_better: bool
    champion: float | None
    candidate: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Slice:
    """The primary metric on one part of the test rows; `why` says why it could not be judged, where it could not."""

    name: str
    rows: int
    champion: float | None
    candidate: float | None
    low: float | None
    high: float | None
    collapsed: bool
    why: str | None


@dataclass(frozen=True)
class ComparedRows:
    """Test rows against the champion's own test rows, and those that decide: on which neither model was trained."""

    test: int
    decided: int
    new: int
    gone: int
    edited: int
    trained: int


@dataclass(frozen=True)
class Ruling:
    """What the gate says of one rule.

    `limit` is the threshold, the margin or the most that a cost may be; only a comparison has a `verdict`.
    """

    rule: Rule
    subject: str
    passed: bool
    verdict: Verdict | None
    candidate: float | None
    champion: float | None
    limit: float


@dataclass(frozen=True)
class Cost:
    """What one use of the model costs, in the unit that its name ends in; None where it was not measured."""

    name: CostName
    champion: float | None
    candidate: float | None


@dataclass(frozen=True)
class ValueChange:
    """One param, or one fact of the data or its schema, that differs; None where one side lacks it."""

    name: str
    champion: str | None
    candidate: str | None


@dataclass(frozen=True)
class Note:
    """Something that a reader must know to trust the numbers; `names` is what it is about."""

    kind: NoteKind
    names: list[str]


@dataclass(frozen=True)
class Shift:
    """How far one column's values moved: `size` is the share of rows, 0 to 1, that differ in distribution."""

    column: str
    champion: str
    candidate: str
    size: float


@dataclass(frozen=True)
class Stage:
    """One pipeline stage; `seconds` is None where it was up to date and did not run."""

    name: str
    seconds: float | None


@dataclass(frozen=True)
class Curve:
    """One model's line or points in a plot; `label` is the class, where a plot has one curve a class."""

    model: Model
    label: str
    x: list[float]
    y: list[float]


@dataclass(frozen=True)
class Plot:
    """One picture's data."""

    name: PlotName
    curves: list[Curve]


@dataclass(frozen=True)
class Confusion:
    """How many rows of each actual class (outer) were given each class (inner); None without a champion."""

    classes: list[str]
    champion: list[list[int]] | None
    candidate: list[list[int]]


@dataclass(frozen=True)
class EngineVersion:
    """An engine: its version, where it comes from, and its wheel's SHA-256, if it has one."""

    version: str
    place: str
    sha256: str | None


@dataclass(frozen=True)
class EngineUpdate:
    """The engine before a change and with it; `release` says whether the template builds its wheel, and `text` how."""

    base: EngineVersion | None
    candidate: EngineVersion | None
    release: Literal["same", "different", "unknown"]
    text: str


@dataclass(frozen=True)
class Redefined:
    """One of the project's own metrics that the change defines otherwise: the champion's value by both definitions.

    `before` is None where the champion's metrics.py had no such metric, `now` where this one has none, and both where
    it is not defined on the rows.
    """

    name: str
    before: float | None
    now: float | None


@dataclass(frozen=True)
class Report:
    """Everything that a reviewer is shown of one run.

    `champion` is the name of what the candidate is compared with, whatever that is to the project, None where nothing
    is. `engine` is None where the change leaves it as it is, `redefined` where metrics.py is the champion's.
    `unchanged` says that the bytes of both models are the same, `same_recipe` that what they were made with is.
    `detectable` is the smallest true change of the primary metric that these rows would have shown (80 % power),
    `false_alarms` the share of equally good models that the gate would block on them, and `enough_margin` the margin
    that would hold this share at 5 %.
    """

    format: int
    passed: bool
    unchanged: bool
    same_recipe: bool
    pull_request: int | None
    champion: str | None
    baseline: Baseline
    primary: str
    margin: float
    confidence: float
    params: list[ValueChange]
    schema: list[ValueChange]
    data: list[ValueChange]
    stages: list[Stage]
    engine: EngineUpdate | None = None
    redefined: list[Redefined] | None = None
    incomparable: str | None = None
    notes: list[Note] = field(default_factory=list)
    rows: ComparedRows = ComparedRows(0, 0, 0, 0, 0, 0)
    method: str | None = None
    detectable: float | None = None
    false_alarms: float | None = None
    enough_margin: float | None = None
    metrics: list[MetricChange] = field(default_factory=list)
    rulings: list[Ruling] = field(default_factory=list)
    slices: list[Slice] = field(default_factory=list)
    slice_margin: float | None = None
    costs: list[Cost] = field(default_factory=list)
    shifts: list[Shift] = field(default_factory=list)
    plots: list[Plot] = field(default_factory=list)
    confusion: Confusion | None = None

    @property
    def rival(self) -> str:
        """Return the word for what the candidate is compared with."""
        return "champion" if self.baseline == "champion" else "baseline"

    def shown(self, model: Model) -> str:
        """Return the word for one of both models."""
        return self.rival if model == "champion" else model

    def to_json(self) -> str:
        """Return the report as JSON text."""
        return json.dumps(asdict(self), indent=1, allow_nan=False) + "\n"


def read_report(text: bytes) -> Report:
    """Return the report in JSON `text`, trusting none of it.

    Raises:
        UserError: it is not a report that this version writes.
    """
    try:
        report = typed(Report, json.loads(text))
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise UserError(f"report.json is not a report: {type(error).__name__}") from error
    if report.format != FORMAT:
        raise UserError(f"report.json has format {report.format}; this version reads format {FORMAT}")
    return report
