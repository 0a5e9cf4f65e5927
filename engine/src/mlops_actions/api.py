"""What a project's own modules use of the engine: the only names under semantic versioning.

`features.py` and `metrics.py` need none of them. Nothing else of `mlops_actions` is meant to be imported in `src/`.
"""

from .core.config import Model, Task
from .core.errors import UserError
from .data.feature_columns import Columns
from .stages.estimators import make_estimator, parameters_of
from .stats.metrics import Predictions

__all__ = ["Columns", "Model", "Predictions", "Task", "UserError", "make_estimator", "parameters_of"]
