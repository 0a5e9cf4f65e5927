"""The knobs of params.yaml with their defaults, read once and checked before anything runs.

The docstring below a knob is its comment, which `mlops params` shows: what it is, and when to change it.
"""

import datetime as dt
import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, field_validator
from pydantic.fields import FieldInfo

from .errors import UserError
from .typed_yaml import Section, parse, read_yaml, section_of

PARAMS = "params.yaml"
LEAST_MEMORY = 500_000_000  # bytes: Python and its libraries take two thirds of it
IMAGE = re.compile(r"[a-z0-9.-]+(:\d+)?(/[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*)+")  # what docker takes, without a tag
REPOSITORY = re.compile(r"(https://[^/\s]+/)?[\w.-]+/[\w.-]+")
Task = Literal["classification", "regression", "guess"]


def as_class(value: Any) -> Any:
    """Return a class as the schema names it, where YAML read true or a number."""
    return str(value).removesuffix(".0") if isinstance(value, bool | int | float) else value


# By its tag an error is about what was meant: a word, or a mapping of classes.
ClassWeight = Annotated[
    Annotated[Literal["balanced"], Tag("word")]
    | Annotated[
        dict[Annotated[str, BeforeValidator(as_class)], Annotated[float, Field(gt=0)]],
        Tag("mapping"),
    ],
    Discriminator(lambda value: "mapping" if isinstance(value, dict) else "word"),
]


class Read(Section):
    """How the data's file is written: `mlops setup` finds out, and writes down here what its kind does not say."""

    delimiter: str | None = Field(default=None, min_length=1, max_length=1)
    """What stands between two cells of a text file. Null: a tab in a .tsv, a comma in any other."""
    decimal: Literal[".", ","] = "."
    """The decimal sign of a text file's numbers."""
    encoding: str = "utf-8"
    """The encoding of a text file, such as utf-8, utf-16 or cp1252: change it when letters come out wrong."""
    sheet: str | None = None
    """The sheet of a workbook that has the rows. Null: the first."""


class Data(Section):
    """Where the rows are and what they predict."""

    source: str | None = Field(default=None, min_length=1)
    """Where new rows come from: a URL, or ingest.sql, which names a database and a query. `mlops ingest` fetches them
    into `data.path`. Null: the file at `data.path` is the source."""
    path: str = Field(min_length=1)
    """The file, or the folder of files, with the rows."""
    read: Read = Read()
    target: str = Field(min_length=1)
    """The column to predict."""
    task: Task
    """classification or regression; guess: `mlops setup` finds out from the values of the target. It writes its reasons
    behind what it chose; change what it chose wrong."""
    positive: Annotated[str, BeforeValidator(as_class)] | None = None
    """The class that precision, recall and curves are about, of two: name it when it is not the later one in the
    alphabet."""
    weight: str | None = None
    """A column that says how much each row counts in training. The model does not see it, and metrics do not weigh by
    it."""
    drop: list[str] = []
    """Columns that the model must not see: name identifiers here, and whatever is known only after the outcome. Rows to
    predict need not have them."""

    @property
    def unseen(self) -> list[str]:
        """The columns that the model does not see, and that rows to predict need not have."""
        return self.drop if self.weight is None else [*self.drop, self.weight]


class Split(Section):
    """How rows are divided into train and test."""

    method: Literal["hash", "time"] = "hash"
    """hash: the values of a row decide whether it is a test row, so it stays one when data is added. Change it to time
    when the model will predict the future: rows whose `split.column` is at or after `split.cutoff` are then the
    test."""
    column: str | None = None
    """With the method time: the column that says when a row is from, of dates or numbers."""
    cutoff: float | str | None = None
    """With the method time: the moment from which on rows are the test, such as "2026-01-31", in quotes. Move it on
    when the test rows have become old."""
    gap: float | str | None = None
    """Rows this far before the cutoff, such as 7d, 12h or, where `split.column` is a number, 30, are neither train nor
    test: set it when the truth about a row becomes known later than the row."""
    key: list[str] = []
    """The columns that say what a row is about, such as [customer]. Name them when all rows of one customer must fall
    on the same side, or when columns will be added or corrected later. With the method time, rows before the cutoff are
    left out of train when a test row has their key. Empty: every column but the target."""
    test_size: float = Field(default=0.2, gt=0, lt=1)
    """The share of rows to test on, with the method hash. Lower it when data is plenty; raise it when comparisons with
    the champion waver."""

    @field_validator("cutoff", mode="before")
    @classmethod
    def _refuse_date(cls, value: Any) -> Any:
        if isinstance(value, dt.date):  # DVC cannot write it into dvc.lock
            raise ValueError(f'must be quoted: write "{value.isoformat()}"')
        return value


class History(Section):
    """Whose past the model sees, and how long after an event it is known."""

    entity: list[str] = []
    """The columns that say whose past a row has, such as [customer]. Name them when what an entity did before tells
    what it will do: features.sql then says what is computed of that. Empty: no history."""
    time: str | None = None
    """The column that says when a row is from: a history needs it."""
    events: str | None = None
    """What happened. Null: the rows of the data themselves. Else a table with the same columns for who and when, .csv
    or .parquet, which DVC tracks: name it when there is more to know than the rows to predict."""
    delay: float | str | None = None
    """How long after an event all of it is known, such as 30d: set it when its columns, the target above all, are not
    known at once."""


class Model(Section):
    """Which estimator learns, with which parameters.

    Examples:
        >>> Model(estimator="logistic", params={"C": 0.5}).seed
        0
    """

    estimator: str = Field(min_length=1)
    """logistic (of classes) or linear (of numbers), random_forest, hist_gradient_boosting, xgboost (millions of rows in
    float32), xgboost_dask (rows that fit no single machine, on a Dask cluster), or the dotted path of a scikit-learn
    class."""
    params: dict[str, Any] = {}
    """Passed to the estimator as they are, before the defaults in model.py. Change them when it fits too much or too
    little, such as {learning_rate: 0.02}, or have `mlops tune` find better ones."""
    class_weight: ClassWeight | None = None
    """balanced, or a weight for each class such as {"yes": 5}, when a rare class matters more than its rows are
    many."""
    threshold: float | None = Field(default=None, gt=0, lt=1)
    """From which probability on the positive class is predicted, such as 0.2 when a miss costs four times a false
    alarm. Null: the most probable class is."""
    transform: Literal["log1p", "yeo-johnson"] | None = None
    """Of a regression's target: log1p when it spans orders of magnitude, yeo-johnson when it is skewed and may be
    negative."""
    rows: int | None = Field(default=None, gt=0)
    """Train on so many rows, which their hashes choose. Set it when the training rows do not fit the memory. Null: on
    all."""
    seed: int = Field(default=0, ge=0, lt=2**32)
    """Change it to see how much of a result is luck, not to improve one."""


class Tune(Section):
    """Which parameters `mlops tune` searches, and how hard."""

    params: dict[str, list[Any]] = {}
    """What is tried: values for each of the estimator's parameters, such as {learning_rate: [0.02, 0.1]}. Empty: a
    search space that fits the estimator."""
    candidates: int = Field(default=30, ge=2)
    """How many combinations the search begins with. Raise it when there is time."""
    folds: int = Field(default=5, ge=2)
    """On how many folds each combination is tried. Raise it when rows are few, lower it when there is little time."""


class Slices(Section):
    """Parts of the test rows on which the primary metric must not collapse even when the average improves."""

    margin: float = Field(default=0.1, ge=0)
    """How much worse than the champion's the metric of a part may be. Lower it when each part matters as much as the
    whole."""
    min_rows: int = Field(default=50, ge=10)
    """Smaller parts are not looked at. Raise it when luck in small ones raises false alarms."""
    columns: list[str] | None = None
    """The columns whose every category and quartile is a part. Null: all columns."""
    custom: dict[str, str] = {}
    """Your own parts, such as {seniors: age > 65}, in pandas' query language."""


class Limits(Section):
    """What the model may cost; null is no limit."""

    model_mb: float | None = Field(default=95, gt=0)
    """The size of the released file. Raise it with a remote in a cloud: origin's own store takes no larger file."""
    latency_ms: float | None = Field(default=None, gt=0)
    """The time for the answer to one row. Set it to what the caller can wait."""
    training_seconds: float | None = Field(default=None, gt=0)
    """The time that training takes. Set it to what you pay, or wait, for."""


class Gate(Section):
    """What a model must reach before it is published."""

    primary: str = "guess"
    """The metric that decides between candidate and champion: any name in metrics.json, a function of your metrics.py,
    or any scorer of scikit-learn; guess: `mlops setup` takes one that suits the target. Change it to what the use is
    paid in."""
    margin: float = Field(default=0.01, ge=0)
    """How much worse than the champion a candidate may be, in the metric's unit. Raise it when the report says that the
    test set cannot tell so small a change."""
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    """How sure the interval of the change is. Raise it when a wrong verdict costs more than a delayed one."""
    undecided: Literal["estimate", "pass", "fail"] = "estimate"
    """When the interval straddles the margin: estimate passes while the measured change is inside the margin. Change it
    to fail where only proof counts, to pass where only harm does."""
    compare: bool = True
    """Turn it off for one pull request after which models cannot be compared, such as one with a new target."""
    thresholds: dict[str, float] = {}
    """What every model must reach: at least where greater is better, at most for errors. Raise them to what the use
    needs."""
    guards: dict[str, Annotated[float, Field(ge=0)]] = {}
    """Other metrics that must not become worse, each with its margin, such as {log_loss: 0.02}."""
    slices: Slices = Slices()
    limits: Limits = Limits()


class ServingLimits(Section):
    """What the server takes on; more is refused with the reason, and nothing grows."""

    body_mb: float = Field(default=10, gt=0)
    """A larger body is refused. Raise it when callers send more rows at once."""
    waiting: int = Field(default=2000, ge=1)
    """Rows beyond so many waiting ones get 503. Lower it when a late answer is worth nothing."""
    seconds: float = Field(default=10, gt=0)
    """A request that takes longer ends. Lower it to what callers wait."""


class PredictionLog(Section):
    """Where every prediction is kept, and for how long."""

    path: str | None = Field(default="predictions", min_length=1)
    """The folder where predictions are kept. Null: none is."""
    minutes: float = Field(default=10, gt=0)
    """A Parquet file is written for so many minutes. Lower it when reports must be younger."""
    days: float | None = Field(default=90, gt=0)
    """Older days are deleted; null: never. Lower it where the disk is small or the law says so."""


class CanaryLimits(Section):
    """When a canary is cut off, and when it has shown enough."""

    max_error_rate: float = Field(default=0.02, ge=0, lt=1)
    """A canary is cut off when a larger share of its requests fails."""
    max_latency_ratio: float = Field(default=3, gt=1)
    """A canary is cut off when it takes so many times as long as the champion. Raise it when a better model may be
    slower."""
    requests: int = Field(default=50, ge=1)
    """It is judged by its errors and its latency after so many requests."""
    truths: int = Field(default=100, ge=30)
    """It is judged by its predictions from so many truths on. Raise it when few of them say little."""


class Attestation(Section):
    """Whose publish workflow must have made what is served: the attestation of its release is the proof."""

    repository: str | None = None
    """OWNER/NAME, or a URL: a bundle is served only if this repository's workflow made it, where an attestation lies
    beside it. Null: no attestation is looked at."""
    required: bool = False
    """Turn it on to serve nothing without an attestation."""
    trusted_root: str | None = Field(default=None, min_length=1)
    """A file to check the attestation by instead of Sigstore's public root: name it when the repository is private, and
    write it with `gh attestation trusted-root > FILE`."""

    @field_validator("repository")
    @classmethod
    def _refuse_path(cls, value: str | None) -> str | None:
        if value is not None and not REPOSITORY.fullmatch(value):
            raise ValueError(f"must be OWNER/NAME, or the URL of a repository that is not on github.com, not {value!r}")
        return value


class Serving(Section):
    """How `mlops serve` listens, what it bears, and what it keeps."""

    host: str = Field(default="127.0.0.1", min_length=1)
    """Where `mlops serve` listens. Open it to other machines (0.0.0.0) behind something that knows who may ask."""
    port: int = Field(default=8000, ge=0, lt=65536)
    """The port it listens on; 0 is any free one."""
    workers: int = Field(default=1, ge=1)
    """Processes that answer. Raise it to the number of cores when one is not enough."""
    follow_seconds: float = Field(default=15, ge=1)
    """How often the version tags on origin are looked at. Raise it when many servers ask the same origin."""
    protect: Literal["operations", "everything"] = "operations"
    """What needs the token, where the environment has one in MLOPS_TOKEN: all but predictions and health, or all but
    health. Set it to everything where not whoever reaches the server may ask it."""
    key: list[str] = []
    """The columns whose values decide whether a request is the canary's, such as [customer], when it has no header
    X-Request-Key. Empty: each such request is drawn anew."""
    limits: ServingLimits = ServingLimits()
    log: PredictionLog = PredictionLog()
    canary: CanaryLimits = CanaryLimits()
    image: str | None = None
    """Where the container image of each version goes, without a tag, such as ghcr.io/acme/churn: publishing builds and
    pushes it there. Null: no image is built."""
    attestation: Attestation = Attestation()

    @field_validator("image")
    @classmethod
    def _refuse_tag(cls, value: str | None) -> str | None:
        if value is not None and not IMAGE.fullmatch(value):
            raise ValueError(f"must be a registry and a name in small letters, without a tag, not {value!r}")
        return value


class Resources(Section):
    """What a stage may use of the machine; results do not depend on it."""

    memory: str | None = None
    """What prepare and featurize may hold in memory, 500MB or more; null is what the machine has. Set it where others
    use the machine too, or where a stage is killed for want of memory."""

    @property
    def memory_bytes(self) -> float:
        """What `memory` says, in bytes; infinite where it says nothing."""
        if self.memory is None:
            return math.inf
        size = re.fullmatch(r"(\d+(?:\.\d+)?) ?([KMGT]?)(i?)B", self.memory)
        if not size:
            raise UserError(f"{PARAMS}: resources.memory must be a size such as 1GB or 800MB, not {self.memory!r}.")
        return float(size[1]) * (1024 if size[3] else 1000) ** " KMGT".index(size[2] or " ")


class Params(Section):
    """Everything params.yaml may hold; a section that it leaves out has its defaults."""

    data: Data
    split: Split = Split()
    history: History = History()
    model: Model
    tune: Tune = Tune()
    gate: Gate = Gate()
    serving: Serving = Serving()
    resources: Resources = Resources()


class Config(Params):
    """The knobs together with the project they belong to."""

    root: Path

    def path(self, name: str) -> Path:
        """Return the file of this project with the given relative name."""
        return self.root / name

    @property
    def guesses(self) -> bool:
        """Whether `mlops setup` is still to find out the task or the primary metric."""
        return "guess" in (self.data.task, self.gate.primary)

    def unneeded(self, given: Iterable[str]) -> list[str]:
        """Return those of data.drop and data.weight that rows to predict, with the columns `given`, need not have.

        Whose history is meant must be said; the time may be lacking.
        """
        needed = {*self.history.entity, *({self.history.time} & set(given))} if self.history.entity else set()
        return [name for name in self.data.unseen if name not in needed]


def keys_of(section: type[Section] = Params, prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Yield every key of params.yaml by its dotted name, in order: a section before what is in it."""
    for name, field in section.model_fields.items():
        yield f"{prefix}{name}", field
        if inner := section_of(field):
            yield from keys_of(inner, f"{prefix}{name}.")


def comment_of(field: FieldInfo) -> str:
    """Return the comment of a key, in one line: what it is, and when to change it."""
    section = section_of(field)
    text = (section.__doc__ if section else field.description) or ""
    return " ".join(text.partition("\n\n")[0].split())  # an example below a section's docstring is for programmers


def load_config(root: Path = Path("."), guesses: bool = False) -> Config:
    """Return the checked content of params.yaml; with `guesses`, values that `mlops setup` will guess are fine."""
    params = parse(Params, read_yaml(root / PARAMS), PARAMS)
    _check_together(params, guesses)
    return Config(root=root, **dict(params))


def _check_together(params: Params, guesses: bool) -> None:
    data, split, history, gate = params.data, params.split, params.history, params.gate
    for where, value in (("data.task", data.task), ("gate.primary", gate.primary)):
        if value == "guess" and not guesses:
            raise UserError(f"{PARAMS}: {where} is still `guess`; run `mlops setup`, which finds it out from the data.")
    for section, names in (
        ("data.drop", data.drop),
        ("split.key", split.key),
        ("split.column", [split.column]),
        ("data.weight", [data.weight]),
        ("history.entity", history.entity),
        ("history.time", [history.time]),
    ):
        if data.target in names:
            raise UserError(f"{PARAMS}: {section} names {data.target!r}, which is data.target; take it out.")
    if split.method == "time" and (split.column is None or split.cutoff is None):
        lacking = "split.column" if split.column is None else "split.cutoff"
        raise UserError(
            f"{PARAMS}: split.method is time, so it needs {lacking}; add it: rows from the cutoff on are the test."
        )
    if split.gap is not None and split.method != "time":
        raise UserError(f"{PARAMS}: split.gap lies before a cutoff, so it needs split.method time; set one of them.")
    if isinstance(split.gap, float | int) and not split.gap >= 0:
        raise UserError(f"{PARAMS}: split.gap must be at least 0, not {split.gap:g}.")
    if params.resources.memory_bytes < LEAST_MEMORY:
        raise UserError(
            f"{PARAMS}: resources.memory {params.resources.memory} is too little; give at least "
            f"{LEAST_MEMORY // 10**6}MB, or null for what the machine has."
        )
    if params.serving.attestation.required and params.serving.attestation.repository is None:
        raise UserError(f"{PARAMS}: serving.attestation.required needs serving.attestation.repository; name yours.")
    if data.weight is not None and data.weight in data.drop:
        raise UserError(f"{PARAMS}: data.drop names {data.weight!r}, which is data.weight; take it out.")
    for where, given, task in (
        ("data.positive", data.positive, "classification"),
        ("model.class_weight", params.model.class_weight, "classification"),
        ("model.threshold", params.model.threshold, "classification"),
        ("model.transform", params.model.transform, "regression"),
    ):
        if given is not None and data.task not in (task, "guess"):
            raise UserError(f"{PARAMS}: {where} means nothing in a {data.task}; set it to null.")
    if history.entity and history.time is None:
        raise UserError(f"{PARAMS}: history.entity needs history.time, the column that says when; name it.")
    if history.time in history.entity:
        raise UserError(f"{PARAMS}: history.time {history.time!r} is in history.entity, too; take it out there.")
