"""YAML is read with its aliases, but for those that would never end."""

import itertools
from pathlib import Path

import pytest
import yaml
from mlops_actions.core import plain_yaml
from mlops_actions.core.config import load_config
from mlops_actions.core.errors import UserError
from mlops_actions.registry.objects import load_yaml
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
