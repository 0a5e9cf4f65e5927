"""params.yaml is changed in exactly the lines that a change is about."""

import random
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from baked import TEMPLATE
from cookiecutter.environment import StrictEnvironment
from cookiecutter.generate import generate_context
from cookiecutter.prompt import prompt_for_config
from mlops_actions.core.config import comment_of, keys_of
from mlops_actions.core.errors import UserError
from mlops_actions.core.params_file import edit_params, locate, update_params
from mlops_actions.core.typed_yaml import section_of

PAIR = [
    ("data.read.delimiter", ";"),
    ("data.read.encoding", "cp1252"),
    ("data.positive", "yes"),
    ("data.drop", ["a", "b c", "no", "x: y #", "1", "[z", "ü🦉"]),
    ("gate.thresholds", {"mae": 3.5}),
    ("gate.thresholds", {}),
    ("model.params", {"depth": [1, 2.5, None, True], "name": "a, b"}),
    ("split.cutoff", "2026-01-31"),
    ("resources.memory", None),
    ("model.seed", 7),
    ("serving.limits.seconds", 4),
    ("gate.slices.custom", {"old": "age > 65"}),
    ("data.source", None),
    ("tune.params", {"multi\nline": " padded "}),
]
# The text that a key's value goes into, a change, and what the file holds then.
TEXTS: dict[str, tuple[str, dict[str, Any], str]] = {
    "a comment stays": ("a: 1 # why\nb: 2\n", {"a": 3}, "a: 3 # why\nb: 2\n"),
    "a comment is replaced": ("a: 1 # why\n", {"a": (3, "because")}, "a: 3 # because\n"),
    "items get comments": (
        "a:\n  drop: []\n  b: 2\n",
        {"a.drop": [("x", "an identifier"), ("z", None)]},
        "a:\n  drop:\n    - x # an identifier\n    - z\n  b: 2\n",
    ),
    "a list in a list's place": ("a: # why\n- x\n- y\n", {"a": [("z", "c")]}, "a:\n  - z # c\n"),
    "a section that ends in nothing": ("a:\n  b:\n    c: # why\nd: 1\n", {"a": 2}, "a: 2\nd: 1\n"),
    "nothing but a comment": ("a: # why\n\nb: 2\n", {"a": 1}, "a: 1 # why\n\nb: 2\n"),
    "a block list is replaced": ("a:\n  - x # one\n  - y # two\n# next\nb: 2\n", {"a": []}, "a: []\n# next\nb: 2\n"),
    "a value that is not there": ("a:\nb: 2\n", {"a": 1}, "a: 1\nb: 2\n"),
    "a key that is not there": ("a:\n  b: 1 # b\n\nc: 3\n", {"a.d": 2}, "a:\n  b: 1 # b\n  d: 2\n\nc: 3\n"),
    "a section that is not there": ("a: 1\n", {"b.c.d": 2}, "a: 1\n\nb:\n  c:\n    d: 2\n"),
    "a section in braces": ("a: {} # why\nb: 2\n", {"a.c": 1}, "a: # why\n  c: 1\nb: 2\n"),
    "the comment below a key is its own": (
        "a:\n  b: 1\n    # of b\n\n    # and this\n  # of c\n  c: 1\n",
        {"a.d": 2},
        "a:\n  b: 1\n    # of b\n\n    # and this\n  # of c\n  c: 1\n  d: 2\n",
    ),
    "a wider section": ("a:\n    b: 1\n", {"a.c.d": 2}, "a:\n    b: 1\n    c:\n      d: 2\n"),
    "lines end as they did": ("a: 1\r\nb: 2\r\n", {"b": 3, "c": 4}, "a: 1\r\nb: 3\r\nc: 4\r\n"),
    "no last line break": ("a: 1", {"b": 3}, "a: 1\nb: 3"),
    "a text over lines": ("a: |\n  one\n  two\nb: 2\n", {"a": "three"}, "a: three\nb: 2\n"),
}  # fmt: skip


@pytest.fixture(scope="module")
def young() -> str:
    """params.yaml as it is generated."""
    context = generate_context(str(TEMPLATE / "cookiecutter.json"))
    context["cookiecutter"] = prompt_for_config(context, no_input=True)
    text = (TEMPLATE / "{{cookiecutter.project_slug}}/params.yaml").read_text()
    return StrictEnvironment(context=context, keep_trailing_newline=True).from_string(text).render(**context)


@pytest.mark.parametrize("name", TEXTS)
def test_a_change_is_exactly_its_lines(tmp_path: Path, name: str) -> None:
    before, changes, after = TEXTS[name]
    file = tmp_path / "params.yaml"
    file.write_bytes(before.encode())
    update_params(file, changes)
    assert file.read_bytes().decode() == after


def comments_above(text: str) -> dict[str, list[str]]:
    """The lines of comment right above each line that has a key, by the key."""
    found, above, sections = {}, [], []
    for line in text.splitlines():
        if line.strip().startswith("#"):
            above.append(line)
        elif key := re.match(r"( *)([\w.]+):", line):
            sections[len(key[1]) // 2 :] = [key[2]]
            found[".".join(sections)] = above
            above = []
        else:
            above = []
    return found


@pytest.mark.parametrize("seed", range(10))
def test_the_values_of_the_real_file_change_and_no_other_line(young: str, tmp_path: Path, seed: int) -> None:
    changes = dict(random.Random(seed).sample(PAIR, 6))
    file = tmp_path / "params.yaml"
    file.write_text(young)
    update_params(file, changes)
    after = file.read_text()
    wanted = yaml.safe_load(young)
    for key, value in changes.items():
        *sections, last = key.split(".")
        there = wanted
        for section in sections:
            there = there.setdefault(section, {})
        there[last] = value
    assert yaml.safe_load(after) == wanted
    left = iter(after.splitlines())
    names = {key.rpartition(".")[2] for key in changes}
    kept = [line for line in young.splitlines() if line.strip().partition(":")[0] not in names]
    assert all(line in left for line in kept), "in their order"
    before, above, fields = comments_above(young), comments_above(after), dict(keys_of())
    for key, comment in above.items():
        told = " ".join(line.strip().removeprefix("# ") for line in comment)
        assert comment == before[key] if key in before else told == comment_of(fields[key]), key
    update_params(file, changes)
    assert file.read_text() == after, "once is enough"


@pytest.mark.parametrize("seed", range(3))
def test_keys_get_their_place_in_whatever_order_they_come(young: str, seed: int) -> None:
    keys = [key for key, field in keys_of() if not section_of(field)]
    keys = random.Random(seed).sample(keys, 15)
    text = edit_params(young, dict.fromkeys(keys, 1))
    order = [key for key, _ in keys_of() if any(f"{one}.".startswith(f"{key}.") for one in keys)]
    places = {key: locate(text, key) for key in order}
    assert sorted(places, key=lambda key: places[key].line) == order
    assert {key: place.column for key, place in places.items()} == {key: 2 * key.count(".") for key in places}
    assert max(map(len, text.splitlines())) <= 120


@pytest.mark.parametrize(
    ("text", "sentence"), [("data: 1\n", "data must be a section"), ("data: [\n", "line 2: not valid YAML")]
)
def test_a_section_that_is_none_gets_a_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(text)
    with pytest.raises(UserError, match=sentence):
        update_params(file, {"data.read": 1})
    assert file.read_text() == text
