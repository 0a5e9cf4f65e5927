"""What goes wrong in the owner's own code is told in one sentence that names the line of theirs."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from baked import Project
from mlops_actions import cli
from mlops_actions.core.paths import METRICS
from pipeline import set_up
from verbs import call_verb

PACKAGE = "src/customer_churn"
STAGES = ("prepare", "history", "featurize", "train", "evaluate")


@pytest.fixture(scope="module")
def shop(fresh: Callable[..., Project]) -> Project:
    """A small project that is set up."""
    project = fresh(300)
    set_up(project.path)
    project.set(**{"model.estimator": "logistic"})
    return project


@pytest.fixture
def run(shop: Project) -> Callable[[], str]:
    """Run the stages until one fails, and return what that says."""

    def run() -> str:
        for name in STAGES:
            answer = call_verb(shop.path, "stage", name)
            if answer.code:
                return answer.err
        return ""

    return run


def insert(text: str, function: str, line: str) -> tuple[str, int]:
    """Return a module with a line at the beginning of a function's body, and that line's number."""
    lines = text.splitlines(keepends=True)
    (begin,) = (number for number, code in enumerate(lines) if code.startswith(f"def {function}("))
    lines.insert(begin + 1, f"    {line}\n")
    return "".join(lines), begin + 2


HELPER = "def divide(number):\n    return number / 0\n"
MISTAKES = {
    "features.py": ("add_features", 'rows["nowhere"]', "KeyError: 'nowhere'"),
    "model.py": ("build_model", "settings.nothing", "AttributeError: 'Model' object has no attribute 'nothing'"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_an_error_names_the_line_of_theirs(shop: Project, run: Callable[[], str], name: str) -> None:
    function, line, words = MISTAKES[name]
    file = f"{PACKAGE}/{name}"
    honest = shop.read(file)
    broken, number = insert(honest, function, line)
    shop.write(file, broken)
    try:
        assert run() == f"mlops stage: {words} in {file}:{number}; correct it.\n"
    finally:
        shop.write(file, honest)


def test_an_error_in_a_helper_names_the_helper(shop: Project, run: Callable[[], str]) -> None:
    honest = shop.read(f"{PACKAGE}/features.py")
    shop.write(f"{PACKAGE}/helper.py", HELPER)
    shop.write(f"{PACKAGE}/features.py", insert(honest, "add_features", "from .helper import divide; divide(1)")[0])
    try:
        assert run() == f"mlops stage: ZeroDivisionError: division by zero in {PACKAGE}/helper.py:2; correct it.\n"
    finally:
        shop.write(f"{PACKAGE}/features.py", honest)
        Path(shop.path / PACKAGE / "helper.py").unlink()


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_a_metric_that_is_no_number_is_named_and_left_out(shop: Project, run: Callable[[], str], value: str) -> None:
    file = f"{PACKAGE}/metrics.py"
    honest = shop.read(file) if shop.has_file(file) else None
    try:
        shop.write(file, f'def profit(truth, predictions):\n    return float("{value}")\n')
        assert run() == ""
        said = call_verb(shop.path, "stage", "evaluate").out
        assert re.search(r"^evaluate: not defined on these \d+ test rows: profit$", said, re.MULTILINE)
        assert "profit" not in json.loads(shop.read(METRICS))
    finally:
        if honest is None:
            (shop.path / file).unlink()
        else:
            shop.write(file, honest)


def test_an_error_of_the_engine_keeps_its_traceback_and_one_of_memory_is_a_sentence(
    shop: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(error: Exception) -> None:
        def params(_: object) -> int:
            raise error

        monkeypatch.setattr(cli, "params", params)

    fail(RuntimeError("a mistake of ours"))
    with pytest.raises(RuntimeError, match="a mistake of ours"):
        call_verb(shop.path, "params")
    fail(MemoryError("Unable to allocate 7 TiB"))
    answer = call_verb(shop.path, "params")
    sentence = "mlops params: the memory does not suffice (MemoryError: Unable to allocate 7 TiB); take fewer rows or"
    assert answer.code == 1 and answer.err.startswith(sentence)
