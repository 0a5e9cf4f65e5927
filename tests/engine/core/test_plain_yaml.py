"""YAML is read with its aliases, but for those that would never end."""

import itertools
from pathlib import Path

import pytest
import yaml
from mlops_actions.core import plain_yaml
from mlops_actions.core.config import load_config
from mlops_actions.core.errors import UserError
from mlops_actions.registry.objects import load_yaml
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

ORDINARY = """
base: &base {a: 1, b: [x, R&D]}
more: &more
  <<: *base
  b: 2
both: {<<: [*base, *more], c: *base}
"""


def bomb(kind: str) -> str:
    """Ten lines, each of which has the one before nine times."""
    lines = ["a0: &a0 {x0: 1, y0: 2}" if kind == "merges" else "a0: &a0 [x, y]"]
    for before, this in itertools.pairwise(range(11)):
        nine = ", ".join([f"*a{before}"] * 9)
        lines.append(f"a{this}: &a{this} " + {"merges": f"{{<<: [{nine}]}}", "lists": f"[{nine}]"}[kind])
    return "\n".join(lines) + "\n"


def test_aliases_and_merge_keys_mean_what_they_mean_elsewhere() -> None:
    assert plain_yaml.load(ORDINARY) == plain_yaml.load(ORDINARY.encode()) == yaml.safe_load(ORDINARY)


@pytest.mark.parametrize("text", [bomb("merges"), bomb("lists"), "a: &a {<<: *a}\n", "a: &a [*a]\n"])
def test_what_repeats_itself_without_end_is_refused(text: str) -> None:
    with pytest.raises(YAMLError, match="its aliases unfold to more than 100,000 values"):
        plain_yaml.load(text)


def test_a_file_is_never_longer_than_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain_yaml, "MOST", 100)
    assert len(plain_yaml.load("- &a [" + "1," * 1_000 + "]\n")[0]) == 1_000
    assert plain_yaml.load("- &a [" + "1," * 400 + "]\n- *a\n")[1] == [1] * 400
    with pytest.raises(YAMLError, match="unfold to more than 100 values"):
        plain_yaml.load("- &a [" + "1," * 400 + "]\n- [*a, *a]\n")


@pytest.mark.parametrize("kind", ["merges", "lists"])
def test_a_file_of_the_repository_that_does_so_ends_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    (tmp_path / "params.yaml").write_text(bomb(kind))
    with pytest.raises(UserError, match="params.yaml: .*its aliases unfold"):
        load_config(tmp_path)
    monkeypatch.chdir(tmp_path)
    Path("data.csv.dvc").write_text(bomb(kind))
    with pytest.raises(UserError, match=r"data.csv.dvc is not valid YAML: `git restore"):
        load_yaml("data.csv.dvc")


NO_VALUES = {
    "2026-02-30": "2026-02-30 is no date or time",
    "2026-02-30T25:00:00Z": "2026-02-30T25:00:00Z is no date or time",
    "!!int ''": "this is no whole number",
    "!!int 1.5": "1.5 is no whole number",
    "!!bool foo": "foo is no true or false",
    "!!float abc": "abc is no number",
    "9" * 6000: "9999.* is no whole number",
    "0x" + "f" * 6000: "0xffff.* is no whole number",
}


@pytest.mark.parametrize(("value", "said"), NO_VALUES.items(), ids=[text[:20] for text in NO_VALUES])
def test_a_value_that_cannot_be_made_is_named_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, said: str
) -> None:
    (tmp_path / "params.yaml").write_text(f"a: 1\nb: [x, {value}]\n")
    with pytest.raises(UserError, match=f"^params.yaml: line 2: not valid YAML: {said}; quote it if it is text\\.$"):
        load_config(tmp_path)
    monkeypatch.chdir(tmp_path)
    Path("data.csv.dvc").write_text(f"outs: {value}\n")
    with pytest.raises(UserError, match=r"data.csv.dvc is not valid YAML: `git restore"):
        load_yaml("data.csv.dvc")


def test_values_are_those_that_others_read() -> None:
    text = "[1, 0x1f, 0o17, 1_000, -5, 1.5, .inf, 1e3, true, No, 2026-02-28, 2026-02-28T10:00:00Z, ~, '9', !!str 5]"
    assert plain_yaml.load(text) == YAML(typ="safe", pure=True).load(text)
