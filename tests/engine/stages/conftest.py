from typing import Any

import pytest
from baked import Project
from pipeline import set_up
from shops import Shop


@pytest.fixture(scope="module")
def shop(shop: Shop) -> Shop:
    """Projects of orders as everywhere, but that their contract is there: none waits for setup."""
    first = shop()
    set_up(first.path)

    def open_ready(*words: Any) -> Project:
        project = shop(*words)
        project.write("schema.yaml", first.read("schema.yaml"))
        return project

    return open_ready
