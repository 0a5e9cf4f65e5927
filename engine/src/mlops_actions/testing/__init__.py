"""Fixtures for a project's own tests: its params, contract, a sample of its rows, their features and a fitted pipeline.

    from mlops_actions.testing import config, features, pipeline, rows, schema

in tests/conftest.py makes them known; `mlops_actions.testing.checks` has tests that hold for every project.
"""

import pandas as pd
import pytest
from sklearn.pipeline import Pipeline

from ..bundle.features import make_features
from ..core.config import Config, load_config
from ..data.history_table import join_history
from ..data.schema import Schema, load_schema
from ..data.table import read_table
from ..stages.train import fit

pytest.register_assert_rewrite(f"{__name__}.checks")

SAMPLE = 300


@pytest.fixture(scope="session")
def config(pytestconfig: pytest.Config) -> Config:
    """Return the project's params.yaml."""
    return load_config(pytestconfig.rootpath)


@pytest.fixture(scope="session")
def schema(config: Config) -> Schema:
    """Return the contract of the data, schema.yaml."""
    return load_schema(config.path("schema.yaml"))


@pytest.fixture(scope="session")
def rows(config: Config, schema: Schema) -> pd.DataFrame:
    """Return a sample of the project's own data, typed, with some rows of every class."""
    typed = schema.apply(read_table(config.path(config.data.path), config.data.read))
    typed = typed.dropna(subset=[config.data.target]).sample(frac=1, random_state=0)
    if config.data.task == "classification":
        classes = typed[config.data.target].nunique()
        typed = typed.groupby(config.data.target).head(max(SAMPLE // classes, 20))
    return typed.head(SAMPLE).reset_index(drop=True)


@pytest.fixture(scope="session")
def features(rows: pd.DataFrame, config: Config) -> pd.DataFrame:
    """Return what the model sees of `rows`: what features.py makes of them."""
    return make_features(join_history(rows, config), config)


@pytest.fixture(scope="session")
def pipeline(config: Config, schema: Schema, features: pd.DataFrame, rows: pd.DataFrame) -> Pipeline:
    """Return the pipeline of model.py, fitted on `features`."""
    return fit(config, features, schema.kinds, rows[config.data.target])
