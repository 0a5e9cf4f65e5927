from collections.abc import Callable
from pathlib import Path

import pytest
from mlops_actions.core.config import Config, Data, Model

Owner = Callable[[str], Config]


@pytest.fixture
def owner(tmp_path: Path) -> Owner:
    """`owner("def add_features(rows): …")`: the config of a project that has nothing but this features.py."""

    def write(code: str) -> Config:
        package = tmp_path / "src/churn"
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        (package / "features.py").write_text(code)
        (tmp_path / "pyproject.toml").write_text('[tool.mlops]\npackage = "churn"\n')
        data = Data(path="rows.csv", target="churn", task="classification")
        return Config(root=tmp_path, data=data, model=Model(estimator="logistic"))

    return write
