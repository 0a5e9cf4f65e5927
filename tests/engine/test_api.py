"""The names that projects may import: each is documented with an example that runs."""

import doctest
import inspect

import pytest
from mlops_actions import api

NAMES = [name for name in api.__all__ if name != "Task"]  # which is a type of two words, told in the module's docstring


@pytest.mark.parametrize("name", NAMES)
def test_each_name_has_an_example_that_runs(name: str) -> None:
    value = getattr(api, name)
    examples = doctest.DocTestFinder(recurse=False).find(value, name, globs={**vars(api)})
    assert sum(len(test.examples) for test in examples) > 0
    for test in examples:
        results = doctest.DocTestRunner().run(test)
        assert not results.failed


@pytest.mark.parametrize("name", [name for name in NAMES if inspect.isfunction(getattr(api, name))])
def test_each_function_says_what_it_takes_and_returns(name: str) -> None:
    text = inspect.getdoc(getattr(api, name)) or ""
    assert text.startswith("Return ")
    assert len(inspect.signature(getattr(api, name)).parameters) < 2 or "Args:" in text


def test_what_the_module_says_of_itself_names_each() -> None:
    assert all(f"`{name}`" in (api.__doc__ or "") for name in api.__all__)
