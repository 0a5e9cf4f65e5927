"""The knobs in effect: the values of params.yaml, and the defaults where it has none."""

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic_core import PydanticUndefined

from ..core.config import Model, Params, Task
from ..core.errors import UserError
from ..core.typed_yaml import Section

ESTIMATOR = "model.params"  # the estimator's own


@dataclass(frozen=True)
class Knob:
    """A knob's value, as JSON can hold it, and whether it is the default."""

    value: Any
    default: bool


def effective_params(params: Params, rows: int | None = None, root: Path = Path()) -> dict[str, Knob]:
    """Return every knob by its dotted name.

    With the number of rows to train on, which model.py's defaults depend on, the estimator's own parameters as well.
    """
    settings = params.model
    if rows is not None:
        own = _estimator_params(settings, params.data.task, rows, root)
        params = params.model_copy(update={"model": settings.model_copy(update={"params": own})})
    unset = {f"{ESTIMATOR}.{name}" for name in params.model.params if name not in settings.params}
    return {name: replace(knob, default=True) if name in unset else knob for name, knob in _knobs(params, "")}


def _knobs(section: Section, prefix: str) -> Iterator[tuple[str, Knob]]:
    for name in type(section).model_fields:
        if name in Params.model_fields or prefix:  # Config has the project's place as well
            default = type(section).model_fields[name].get_default(call_default_factory=True)
            yield from _knob(f"{prefix}{name}", getattr(section, name), default)


def _knob(name: str, value: Any, default: Any) -> Iterator[tuple[str, Knob]]:
    if isinstance(value, Section):
        yield from _knobs(value, f"{name}.")
    elif isinstance(value, dict) and value:
        yield from ((f"{name}.{key}", Knob(_plain(child), False)) for key, child in value.items())
    else:
        yield name, Knob(_plain(value), default is not PydanticUndefined and value == default)


def _estimator_params(settings: Model, task: Task, rows: int, root: Path) -> dict[str, Any]:
    """Return what the estimator that model.py builds is set to; of a model.py that builds none, what params.yaml says.

    Raises:
        UserError: params.yaml asks for what there is not.
    """
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.ensemble import VotingClassifier

    from ..core.owner import load_module
    from ..data.feature_columns import Columns

    try:
        estimator: Any = load_module(root, "model").build_model(
            settings, Columns(min(rows, settings.rows or rows)), task
        )[-1]
    except UserError:
        raise
    except Exception as error:  # model.py is the user's, and need not bear a table without columns
        why = f"it builds no model of a table without columns ({type(error).__name__}: {error})"
        print(f"model.py: its defaults are not known here: {why}.", file=sys.stderr)
        return settings.params
    # What make_estimator puts around an estimator that gives no probabilities, or takes no class names.
    if isinstance(estimator, CalibratedClassifierCV) and estimator.estimator is not None:
        estimator = estimator.estimator
    elif isinstance(estimator, VotingClassifier):
        estimator = estimator.estimators[0][1]
    return {**estimator.get_params(deep=False), **settings.params}


def _plain(value: Any) -> Any:
    """Return the value as JSON can hold it; as text where it cannot."""
    if isinstance(value, dict):
        return {str(key): _plain(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(child) for child in value]
    if value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return str(value)
