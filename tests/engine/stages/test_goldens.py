"""The stages make what they made when their revision was set: users retrain by that number alone."""

import json
import platform
from pathlib import Path
from typing import Any

import goldens
import pytest
from baked import Share

STAGES = ("prepare", "history", "featurize", "train", "evaluate", "export")


@pytest.fixture(scope="module")
def recorded() -> dict[str, Any]:
    return goldens.read_recorded()


@pytest.fixture(scope="module")
def made(shared: Share) -> dict[str, Any]:
    if platform.machine() not in goldens.MACHINES:
        pytest.skip(f"nothing is recorded for {platform.machine()}")
    folder = shared("goldens", lambda folder: goldens.make_all(folder / "results.json"))
    return json.loads((folder / "results.json").read_text())


@pytest.mark.parametrize("name", goldens.CASES)
def test_a_stage_makes_what_it_made(recorded: dict[str, Any], made: dict[str, Any], name: str) -> None:
    results = made[name]
    unknown = []
    for stage in STAGES:
        known = recorded["results"][stage].get(goldens.key_of(stage))
        if known is None:
            unknown.append(stage)
            continue
        assert goldens.differences(known[name], results[stage], stage) == []
    if unknown:
        pytest.skip(f"nothing is recorded for these libraries: {', '.join(unknown)}")


@pytest.mark.parametrize("stage", STAGES)
def test_other_source_has_another_revision_or_the_same_results(recorded: dict[str, Any], stage: str) -> None:
    assert recorded["sources"][stage] == goldens.source_digest(stage), (
        f"what {stage} can import changed: if its results did, raise its revision in stages/recipes.py; "
        "`make goldens` shows it, and records the source."
    )


def test_every_revision_has_results(recorded: dict[str, Any]) -> None:
    for stage in STAGES:
        revision = goldens.key_of(stage).partition(",")[0]
        assert any(key.startswith(f"{revision},") for key in recorded["results"][stage]), f"{stage}: run `make goldens`"
        assert all([*known] == [*goldens.CASES] for known in recorded["results"][stage].values())


def test_comments_and_docstrings_are_no_source(tmp_path: Path) -> None:
    import ast

    plain, told = (
        "class A:\n    n: int = 1\ndef f(x):\n    return x\n",
        '"""Module."""\nclass A:\n    n: int = 1\n    """How many."""\n'
        'def f(x):\n    """Return it."""\n    # So.\n    return x\n',
    )
    shapes = [goldens.shape(ast.parse(text)) for text in (plain, told, plain.replace("return x", "return -x"))]
    assert shapes[0] == shapes[1] != shapes[2]


def test_a_difference_beyond_the_tolerance_is_named() -> None:
    assert goldens.differences({"a": [0.5, 1.0]}, {"a": [0.5 + 1e-9, 1.0]}) == []
    assert goldens.differences({"a": [0.5, 1.0]}, {"a": [0.5, 1.1]}) == ["/a/1: 1.1 is not 1.0"]
    assert goldens.differences({"a": "x"}, {"b": "x"}) == ["/a: None is not x", "/b: x is not None"]
