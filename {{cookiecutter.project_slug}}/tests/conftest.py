from pathlib import Path

import pandas as pd
import pytest
from sklearn.pipeline import Pipeline

from {{cookiecutter.package_name}}.config import Config, load_config
from {{cookiecutter.package_name}}.history import join_history
from {{cookiecutter.package_name}}.pipeline.featurize import make_features
from {{cookiecutter.package_name}}.pipeline.train import fit
from {{cookiecutter.package_name}}.schema import Schema, load_schema
from {{cookiecutter.package_name}}.table import read_table

SAMPLE = 300


@pytest.fixture(scope="session")
def config() -> Config:
    return load_config(Path(__file__).parents[1])


@pytest.fixture(scope="session")
def schema(config: Config) -> Schema:
    return load_schema(config.path("schema.yaml"))


@pytest.fixture(scope="session")
def rows(config: Config, schema: Schema) -> pd.DataFrame:
    """A sample of the project's own data, with some rows of every class."""
    typed = schema.apply(read_table(config.path(config.data.path), config.data.read))
    typed = typed.dropna(subset=[config.data.target]).sample(frac=1, random_state=0)
    if config.data.task == "classification":
        classes = typed[config.data.target].nunique()
        typed = typed.groupby(config.data.target).head(max(SAMPLE // classes, 20))
    return typed.head(SAMPLE).reset_index(drop=True)


@pytest.fixture(scope="session")
def features(rows: pd.DataFrame, config: Config) -> pd.DataFrame:
    return make_features(join_history(rows, config), config)


@pytest.fixture(scope="session")
def pipeline(config: Config, schema: Schema, features: pd.DataFrame, rows: pd.DataFrame) -> Pipeline:
    return fit(config, features, schema.kinds, rows[config.data.target])
