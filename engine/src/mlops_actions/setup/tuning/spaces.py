"""Which values of an estimator's parameters are tried where params.yaml names none."""

from typing import Any

from sklearn.model_selection import ParameterGrid, ParameterSampler

from ...core.config import Config
from ...core.errors import UserError

_XGBOOST: dict[str, list[Any]] = {
    "n_estimators": [100, 200, 400, 800],
    "learning_rate": [0.02, 0.05, 0.1, 0.2],
    "max_depth": [2, 3, 4, 6, 8],
    "min_child_weight": [1, 5, 20],
    "subsample": [0.6, 0.8, 1.0],
    "colsample_bytree": [0.4, 0.7, 1.0],
    "reg_lambda": [0.1, 1.0, 10.0],
}
SPACES: dict[str, dict[str, list[Any]]] = {
    "logistic": {"C": [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 100.0], "class_weight": [None, "balanced"]},
    "linear": {"alpha": [0.001, 0.01, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0]},
    "random_forest": {
        "n_estimators": [100, 300],
        "max_features": ["sqrt", 0.2, 0.35, 0.5, 1.0],
        "min_samples_leaf": [1, 2, 5, 10, 20],
        "max_depth": [None, 8, 16],
    },
    "hist_gradient_boosting": {
        "max_iter": [100, 200, 400, 800],
        "learning_rate": [0.02, 0.05, 0.1, 0.2],
        "max_leaf_nodes": [4, 8, 16, 31, 63],
        "min_samples_leaf": [5, 10, 20, 50],
        "l2_regularization": [0.0, 0.1, 1.0, 10.0],
        "max_features": [0.3, 0.5, 1.0],
    },
    "xgboost": _XGBOOST,
    "xgboost_dask": _XGBOOST,
}


def draw_candidates(config: Config) -> list[dict[str, Any]]:
    """Return what each candidate changes: first nothing, then tune.candidates draws, or all combinations if fewer."""
    space = config.tune.params or SPACES.get(config.model.estimator)
    if not space:
        raise UserError(
            f"params.yaml: tune.params: name what to try of {config.model.estimator}, such as {{alpha: [0.1, 1, 10]}}."
        )
    empty = [name for name, values in space.items() if not values]
    if empty:
        raise UserError(f"params.yaml: tune.params.{empty[0]} lists no value; list at least one.")
    count = min(config.tune.candidates, len(ParameterGrid(space)))
    drawn = ParameterSampler(space, count, random_state=config.model.seed)
    return [{}, *(dict(params) for params in drawn)]
