"""The knobs of params.yaml, read once and checked before anything runs."""

import datetime as dt
import difflib
import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    field_validator,
)
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from .errors import UserError

PARAMS = "params.yaml"
LEAST_MEMORY = 500_000_000  # bytes: Python and its libraries take two thirds of it
IMAGE = re.compile(r"[a-z0-9.-]+(:\d+)?(/[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*)+")  # what docker takes, without a tag
REPOSITORY = re.compile(r"(https://[^/\s]+/)?[\w.-]+/[\w.-]+")
Task = Literal["classification", "regression", "guess"]
S = TypeVar("S", bound="Section")


def as_class(value: Any) -> Any:
    """A class as the schema names it, where YAML read true or a number."""
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


class Section(BaseModel):
    """A part of a YAML file: unknown keys and values of another type are errors."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Read(Section):
    """How the data's file is written; null is what its kind says."""

    delimiter: str | None = Field(default=None, min_length=1, max_length=1)
    decimal: Literal[".", ","] = "."
    encoding: str = "utf-8"
    sheet: str | None = None


class Data(Section):
    """Where the rows are and what they predict."""

    source: str | None = Field(default=None, min_length=1)
    path: str = Field(min_length=1)
    read: Read = Read()
    target: str = Field(min_length=1)
    task: Task
    positive: Annotated[str, BeforeValidator(as_class)] | None = None
    weight: str | None = None
    drop: list[str] = []

    @property
    def unseen(self) -> list[str]:
        """The columns that the model does not see, and that rows to predict need not have."""
        return self.drop if self.weight is None else [*self.drop, self.weight]


class Split(Section):
    """How rows are divided into train and test."""

    method: Literal["hash", "time"] = "hash"
    key: list[str] = []
    test_size: float = Field(default=0.2, gt=0, lt=1)
    column: str | None = None
    cutoff: float | str | None = None
    gap: float | str | None = None

    @field_validator("cutoff", mode="before")
    @classmethod
    def _refuse_date(cls, value: Any) -> Any:
        if isinstance(value, dt.date):  # DVC cannot write it into dvc.lock
            raise ValueError(f'must be quoted: write "{value.isoformat()}"')
        return value


class History(Section):
    """Whose past the model sees, and how long after an event it is known."""

    entity: list[str] = []
    time: str | None = None
    events: str | None = None
    delay: float | str | None = None


class Model(Section):
    """Which estimator learns, with which parameters: the section `model` of params.yaml.

    Examples:
        >>> Model(estimator="logistic", params={"C": 0.5}).seed
        0
    """

    estimator: str = Field(min_length=1)
    params: dict[str, Any] = {}
    class_weight: ClassWeight | None = None
    threshold: float | None = Field(default=None, gt=0, lt=1)
    transform: Literal["log1p", "yeo-johnson"] | None = None
    rows: int | None = Field(default=None, gt=0)
    seed: int = Field(default=0, ge=0, lt=2**32)


class Tune(Section):
    """Which parameters `mlops tune` searches, and how hard."""

    params: dict[str, list[Any]] = {}
    candidates: int = Field(default=30, ge=2)
    folds: int = Field(default=5, ge=2)


class Resources(Section):
    """What a stage may use of the machine; results do not depend on it."""

    memory: str | None = None

    @property
    def memory_bytes(self) -> float:
        """What `memory` says, in bytes; infinite where it says nothing."""
        if self.memory is None:
            return math.inf
        size = re.fullmatch(r"(\d+(?:\.\d+)?) ?([KMGT]?)(i?)B", self.memory)
        if not size:
            raise UserError(f"{PARAMS}: resources.memory must be a size such as 1GB or 800MB, not {self.memory!r}.")
        return float(size[1]) * (1024 if size[3] else 1000) ** " KMGT".index(size[2] or " ")


class Slices(Section):
    """Which parts of the test rows are looked at on their own, and how much worse one may become."""

    margin: float = Field(default=0.1, ge=0)
    min_rows: int = Field(default=50, ge=10)
    columns: list[str] | None = None
    custom: dict[str, str] = {}


class Limits(Section):
    """What the model may cost; null is no limit."""

    model_mb: float | None = Field(default=None, gt=0)
    latency_ms: float | None = Field(default=None, gt=0)
    training_seconds: float | None = Field(default=None, gt=0)


class Gate(Section):
    """What a model must reach before it is published."""

    primary: str
    margin: float = Field(default=0.01, ge=0)
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    undecided: Literal["estimate", "pass", "fail"] = "estimate"
    compare: bool = True
    thresholds: dict[str, float] = {}
    guards: dict[str, Annotated[float, Field(ge=0)]] = {}
    slices: Slices = Slices()
    limits: Limits = Limits()


class ServingLimits(Section):
    """What the server takes on; more is refused with the reason, and nothing grows."""

    body_mb: float = Field(default=10, gt=0)
    waiting: int = Field(default=2000, ge=1)
    seconds: float = Field(default=10, gt=0)


class PredictionLog(Section):
    """Where every prediction is kept, and for how long."""

    path: str | None = Field(default="predictions", min_length=1)
    minutes: float = Field(default=10, gt=0)
    days: float | None = Field(default=90, gt=0)


class Canary(Section):
    """When a canary is cut off, and when it has shown enough."""

    max_error_rate: float = Field(default=0.02, ge=0, lt=1)
    max_latency_ratio: float = Field(default=3, gt=1)
    requests: int = Field(default=50, ge=1)
    truths: int = Field(default=100, ge=30)


class Attestation(Section):
    """Whose publish workflow must have made what is served, and whether a bundle may lack the proof."""

    repository: str | None = None
    required: bool = False
    trusted_root: str | None = Field(default=None, min_length=1)

    @field_validator("repository")
    @classmethod
    def _refuse_path(cls, value: str | None) -> str | None:
        if value is not None and not REPOSITORY.fullmatch(value):
            raise ValueError(f"must be OWNER/NAME, or the URL of a repository that is not on github.com, not {value!r}")
        return value


class Serving(Section):
    """How `mlops serve` listens, what it bears, and what it keeps."""

    host: str = Field(default="127.0.0.1", min_length=1)
    port: int = Field(default=8000, ge=0, lt=65536)
    workers: int = Field(default=1, ge=1)
    follow_seconds: float = Field(default=15, ge=1)
    key: list[str] = []
    limits: ServingLimits = ServingLimits()
    log: PredictionLog = PredictionLog()
    canary: Canary = Canary()
    image: str | None = None
    attestation: Attestation = Attestation()

    @field_validator("image")
    @classmethod
    def _refuse_tag(cls, value: str | None) -> str | None:
        if value is not None and not IMAGE.fullmatch(value):
            raise ValueError(f"must be a registry and a name in small letters, without a tag, not {value!r}")
        return value


class Params(Section):
    """Everything params.yaml holds."""

    data: Data
    split: Split
    history: History
    model: Model
    tune: Tune
    gate: Gate
    serving: Serving
    resources: Resources


class Config(Params):
    """The knobs together with the project they belong to."""

    root: Path

    def path(self, name: str) -> Path:
        """The file of this project with the given relative name."""
        return self.root / name

    @property
    def guesses(self) -> bool:
        """Whether `mlops setup` is still to find out the task or the primary metric."""
        return "guess" in (self.data.task, self.gate.primary)

    def unneeded(self, given: Iterable[str]) -> list[str]:
        """Those of data.drop and data.weight that rows to predict, which have the columns `given`, need not have.

        Whose history is meant must be said; the time may be lacking.
        """
        needed = {*self.history.entity, *({self.history.time} & set(given))} if self.history.entity else set()
        return [name for name in self.data.unseen if name not in needed]


def load_config(root: Path = Path("."), guesses: bool = False) -> Config:
    """The checked content of params.yaml under root; with `guesses`, values that `mlops setup` will guess are fine."""
    params = parse(Params, read_yaml(root / PARAMS), PARAMS)
    _check_together(params, guesses)
    return Config(root=root, **dict(params))


def read_yaml(path: Path) -> Any:
    """The content of a YAML file, or one sentence that says why it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{path.name}: not found in {path.parent.resolve()}; run this in the project.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path.name}: cannot be read as UTF-8 text ({error}).") from None
    return parse_yaml(text, path.name)


def parse_yaml(text: str, source: str) -> Any:
    """The content of a YAML text, or one sentence that says where in `source` it is wrong."""
    try:
        return YAML(typ="safe", pure=True).load(text)
    except MarkedYAMLError as error:
        marks = [number for number, line in enumerate(text.splitlines(), 1) if line.startswith("<<<<<<< ")]
        if marks:
            raise UserError(f"{source}: a merge left its marks in line {marks[0]}: settle it, delete them.") from None
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        problem = (error.problem or "").strip().splitlines()
        raise UserError(f"{source}: {line}not valid YAML: {problem[0] if problem else error}.") from None
    except YAMLError as error:
        raise UserError(f"{source}: not valid YAML: {str(error).splitlines()[0]}.") from None


def parse(model: type[S], values: Any, where: str) -> S:
    """Values as the given section, or one sentence with the path of the first mistake and its cure."""
    if not isinstance(values, dict):
        raise UserError(f"{where}: must hold {_join(model.model_fields)}, but it holds {_shown(values)}.")
    try:
        return model.model_validate(values)
    except ValidationError as error:
        # A misspelt key is also a missing one: the first says more.
        first, *others = sorted(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
        more = f" (and {len(others)} more)" if others else ""
        sentence = _sentence(model, dict(first)) + more
        raise UserError(f"{where}: {sentence.removesuffix('?')}{'?' if sentence.endswith('?') else '.'}") from None


_TAGS = ("float", "str", "function-before", "word", "mapping")


def _sentence(model: type[Section], error: dict[str, Any]) -> str:
    steps = [str(step) for step in error["loc"] if step not in _TAGS]
    path, kind, value = ".".join(steps), error["type"], _shown(error["input"])
    context = error.get("ctx", {})
    if kind == "extra_forbidden":
        known = _known_keys(model, steps[:-1])
        close = difflib.get_close_matches(steps[-1], known, 1)
        return f"{path} is not a known key; " + (f"did you mean {close[0]}?" if close else f"use {_join(known)}")
    if kind == "missing":
        return f"{path} is missing; add it"
    if kind == "literal_error":
        return f"{path} must be {context['expected']}, not {value}"
    expected = {
        "string_type": "text", "string_too_short": "non-empty text", "float_type": "a number",
        "int_type": "a whole number", "bool_type": "true or false", "list_type": "a list, such as [a, b]",
        "dict_type": "a mapping of keys to values",
        "model_type": "a mapping of keys to values",
    }  # fmt: skip
    limits = {"greater_than": ("gt", "greater than"), "greater_than_equal": ("ge", "at least"),
              "less_than": ("lt", "less than"), "less_than_equal": ("le", "at most")}  # fmt: skip
    if kind == "value_error":
        return f"{path} {context['error']}"
    if kind in limits:
        key, words = limits[kind]
        return f"{path} must be {words} {context[key]:g}, not {value}"
    return f"{path} must be {expected[kind]}, not {value}" if kind in expected else f"{path}: {error['msg']}"


def _known_keys(model: type[Section], steps: list[str]) -> list[str]:
    for step in steps:
        field = model.model_fields.get(step)
        if field is None or not isinstance(field.annotation, type) or not issubclass(field.annotation, Section):
            break
        model = field.annotation
    return list(model.model_fields)


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
        raise UserError(f"{PARAMS}: split.method is time, so it needs {lacking}; rows from the cutoff on are the test.")
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


def _join(names: Any) -> str:
    return ", ".join(names)


def _shown(value: Any) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
