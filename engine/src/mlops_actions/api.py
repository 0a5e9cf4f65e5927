"""What a project's own modules use of the engine: the only names under semantic versioning.

`model.py` builds a pipeline of scikit-learn: `build_model(settings: Model, columns: Columns, task: Task, classes: int)`
returns it unfitted. `features.py` and `metrics.py` need nothing of the engine. Whatever else `mlops_actions` has may
change with any version of it.

- `Model` is the section `model` of params.yaml, and `Task` its `data.task`: "classification" or "regression".
- `Columns` says of each column of the feature table what it is.
- `make_estimator` returns the estimator that params.yaml names, and `parameters_of` the parameters that one has.
- `UserError` is an error in one sentence: what is wrong, where, and what to do. Raised in a module of the project, it
  is shown without a traceback.
"""

from .core.config import Model, Task
from .core.errors import UserError
from .data.feature_columns import Columns
from .stages.estimators import make_estimator, parameters_of

__all__ = ["Columns", "Model", "Task", "UserError", "make_estimator", "parameters_of"]
