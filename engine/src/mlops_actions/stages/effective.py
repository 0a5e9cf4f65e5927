"""The knobs in effect: the values of params.yaml, and the defaults where it has none."""

import math
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from pydantic_core import PydanticUndefined

from ..bundle.parts import read_parts
from ..core.config import Params
from ..core.errors import UserError
from ..core.typed_yaml import Section

ESTIMATOR = "model.params"  # the estimator's own


@dataclass(frozen=True)
class Knob:
    """A knob's value, as JSON can hold it, and whether it is the default."""

    value: Any
    default: bool


def effective_params(params: Params, estimator: Mapping[str, Any] | None = None) -> dict[str, Knob]:
    """Return every knob by its dotted name; those of the estimator with its defaults where these are given.

    Args:
        params: params.yaml.
        estimator: all parameters that its estimator is set to, by `recorded_params` or `built_params`.
    """
    settings = params.model
    own = {**(estimator or {}), **settings.params}
    params = params.model_copy(update={"model": settings.model_copy(update={"params": own})})
    unset = {f"{ESTIMATOR}.{name}" for name in own if name not in settings.params}
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


def recorded_params(bundle: Path) -> dict[str, Any] | None:
    """Return what a bundle says that its estimator was set to; None where it does not say it.

    Raises:
        UserError: it is no bundle.
    """
    return read_parts(bundle).manifest.get("params")


def built_params(params: Params, rows: int, root: Path) -> dict[str, Any]:
    """Return what the estimator that model.py builds for so many rows is set to; nothing where it builds none.

    Raises:
        UserError: params.yaml asks for what there is not.
    """
    from ..core.owner import load_module
    from ..data.feature_columns import Columns

    try:
        columns = Columns(min(rows, params.model.rows or rows))
        return params_of(load_module(root, "model").build_model(params.model, columns, params.data.task)[-1])
    except UserError:
        raise
    except Exception as error:  # model.py is the user's, and need not bear a table without columns
        why = f"it builds no model of a table without columns ({type(error).__name__}: {error})"
        print(f"model.py: its defaults are not known here: {why}.", file=sys.stderr)
        return {}


def params_of(estimator: Any) -> dict[str, Any]:
    """Return what an estimator is set to, as JSON can hold it; of a calibration, vote or transform, what it wraps."""
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.ensemble import VotingClassifier

    if isinstance(estimator, TransformedTargetRegressor) and estimator.regressor is not None:
        estimator = estimator.regressor
    elif isinstance(estimator, CalibratedClassifierCV) and estimator.estimator is not None:
        estimator = estimator.estimator
    elif isinstance(estimator, VotingClassifier):
        estimator = estimator.estimators[0][1]
    return cast("dict[str, Any]", _plain(estimator.get_params(deep=False)))


def _plain(value: Any) -> Any:
    """Return the value as JSON can hold it; as text where it cannot."""
    if isinstance(value, dict):
        return {str(key): _plain(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(child) for child in value]
    if value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return re.sub(r" at 0x[0-9a-f]+", "", str(value))  # an address is another in each run
