from collections.abc import Iterator

import pytest
from baked import Project
from clones import clean_environment, clone, desk, filled, origin, run_verb
from releases import own, versioned
from serving import Server, serve

__all__ = ["clean_environment", "clone", "desk", "filled", "origin", "own", "run_verb", "versioned"]


@pytest.fixture(scope="module")
def server(trained: Project) -> Iterator[Server]:
    """A server of a trained project's bundle."""
    with serve(trained, "--bundle", "models/bundle.zip") as running:
        yield running
