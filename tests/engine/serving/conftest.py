import json
from collections.abc import Iterator
from typing import Any

import pandas
import pytest
from baked import Project
from clones import clean_environment, clone, desk, filled, origin, run_verb
from releases import own, versioned
from serving import Server, serve
from tables import DATA

__all__ = ["clean_environment", "clone", "desk", "filled", "origin", "own", "run_verb", "versioned"]


@pytest.fixture(scope="session")
def server(trained: Project) -> Iterator[Server]:
    """Share a server of a trained project's bundle, as it is without a change of params."""
    with serve(trained, "--bundle", "models/bundle.zip") as running:
        yield running


@pytest.fixture(scope="session")
def rows(trained: Project) -> list[dict[str, Any]]:
    """What is to be predicted: the trained project's rows, as JSON has them."""
    return json.loads(pandas.read_csv(trained.path / DATA).drop(columns="churn").to_json(orient="records"))
