"""params.yaml holds what setup decided and what people change first; `mlops params` has the other knobs, explained."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from baked import Bake, Project
from mlops_actions.core.config import Params, comment_of, keys_of, load_config
from mlops_actions.core.errors import UserError
from mlops_actions.core.params_file import edit_params, locate
from mlops_actions.core.typed_yaml import section_of
from mlops_actions.setup import describe
from mlops_actions.stages.show_params import show_params
from verbs import call_verb

# Indented and ordered as its owner likes it.
WIDE = """model:
    estimator: logistic
serving:
    image: null
    log:
        days: 1
data:
    target: churn
    task: classification
    path: data/raw/dataset.csv
"""
NEEDED = {"data", "data.path", "data.target", "data.task", "model", "model.estimator"}
KNOBS = [key for key, field in keys_of() if not section_of(field)]


def leaves(section: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """The values of a file by their dotted names; of a mapping that is a knob's value, the mapping."""
    found: dict[str, Any] = {}
    for name, value in section.items():
        inner = f"{prefix}{name}" not in KNOBS
        found |= leaves(value, f"{prefix}{name}.") if inner else {f"{prefix}{name}": value}
    return found


@pytest.fixture
def young(fresh: Callable[..., Project]) -> Project:
    """A project that nobody has set up."""
    return fresh(400)


@pytest.fixture
def explain(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """`explain(project, "gate.margin")`: what `mlops params` prints of a key."""

    def run(project: Project, key: str = "", as_json: bool = False) -> str:
        capsys.readouterr()
        show_params(load_config(project.path, guesses=True), key, as_json)
        return capsys.readouterr().out

    return run


def test_every_key_has_a_comment() -> None:
    assert [key for key, field in keys_of() if not comment_of(field)] == []
    assert all(comment_of(field).endswith(".") for _, field in keys_of())


def test_every_key_but_the_answers_may_be_left_out(young: Project) -> None:
    assert {key for key, field in keys_of() if field.is_required()} == NEEDED
    whole = load_config(young.path, guesses=True)
    young.write("params.yaml", yaml.safe_dump({"data": whole.data.model_dump(), "model": {"estimator": "logistic"}}))
    bare = load_config(young.path, guesses=True)
    assert bare.gate == Params.model_fields["gate"].get_default() and bare.gate.primary == "guess"
    assert bare.serving == Params.model_fields["serving"].get_default() and bare.gate.limits.model_mb == 95


def test_a_section_without_keys_is_a_sentence(young: Project) -> None:
    young.write("params.yaml", young.read("params.yaml") + "\ntune:\n  # folds: 3\n")
    said = "mlops params: params.yaml: tune is empty; put a key below it, or take its line out.\n"
    assert call_verb(young.path, "params") == (1, "", said)


def test_what_is_generated_is_short_and_has_the_answers_and_defaults(bake: Bake) -> None:
    answers = {"github_owner": "acme", "task": "regression", "container_registry": "ghcr.io"}
    project = bake(**answers)
    text = project.read("params.yaml")
    assert len(text.splitlines()) <= 70
    held = leaves(yaml.safe_load(text))
    assert held.keys() <= {*KNOBS}, "every key is a knob"
    answered = {
        "data.path": "data/raw/dataset.csv",
        "data.target": "number_vmail_messages",
        "data.task": "regression",
        "model.estimator": "hist_gradient_boosting",
        "serving.image": "ghcr.io/acme/customer-churn",
        "serving.attestation.repository": "acme/customer-churn",
    }
    defaults = {key: field.get_default() for key, field in keys_of()}
    assert held == {key: answered.get(key, defaults[key]) for key in held} and answered.keys() <= held.keys()


def test_what_setup_decides_is_in_the_file_where_the_comments_say_it_is(young: Project) -> None:
    lines = young.read("data/raw/dataset.csv").splitlines()
    days = [f"{line},2026-{1 + n // 28:02}-{1 + n % 28:02}" for n, line in enumerate(lines[1:])]
    young.write("data/raw/dataset.csv", "\n".join([f"{lines[0]},day", *days[:330]]).replace(",", ";") + "\n")
    young.set(**{"data.task": "guess"})
    before = young.read("params.yaml")
    describe.ensure_schema(load_config(young.path, guesses=True))
    held, after = leaves(yaml.safe_load(young.read("params.yaml"))), young.read("params.yaml").splitlines()
    new = ["data.read.delimiter", "split.column", "split.cutoff"]
    assert held.keys() - leaves(yaml.safe_load(before)).keys() == {*new}
    assert (held["data.read.delimiter"], held["split.column"], held["split.method"]) == (";", "day", "time")
    fields = dict(keys_of())
    for key in ("data.read", *new):
        line = locate(young.read("params.yaml"), key).line
        assert comment_of(fields[key]).endswith(after[line - 2].strip().removeprefix("# ")), key
    assert len(after) <= 70


def added(text: str, said: str) -> str:
    """params.yaml after what `mlops params KEY` tells to add or to write: from below, so that its lines still count."""
    lines = text.splitlines()
    told = re.findall(r"^To change .*(below|in) line (\d+)(?:,| of).*:\n\n((?:.+\n)+)", said, re.M)
    assert told, said
    for where, line, new in sorted(told, key=lambda one: int(one[1]), reverse=True):
        lines[int(line) - (where == "in") : int(line)] = new.splitlines()
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("key", ["", *(key for key, _ in keys_of())])
def test_a_key_is_explained_and_can_be_written_where_it_says(
    young: Project, capsys: pytest.CaptureFixture[str], key: str
) -> None:
    if not key:
        key = "serving.limits.seconds"
        young.write("params.yaml", WIDE)
    config, text = load_config(young.path, guesses=True), young.read("params.yaml")
    show_params(config, key)
    said = capsys.readouterr().out
    fields = {name: field for name, field in keys_of() if f"{name}.".startswith(f"{key}.")}
    for name, field in fields.items():
        assert re.search(rf"^{re.escape(name)}\b", said, re.M) and comment_of(field) in " ".join(said.split()), name
        assert section_of(field) or "any value" not in said
    young.write("params.yaml", added(text, said))
    assert load_config(young.path, guesses=True) == config, "it tells the values in effect"
    after = young.read("params.yaml")
    assert not [name for name in fields if locate(after, name).missing], "all of it is there now"


def test_values_types_and_defaults_are_told(young: Project, explain: Callable[..., str]) -> None:
    young.set(**{"gate.undecided": "fail", "model.class_weight": {"yes": 5}})
    young.set(**{"gate.primary": "f1", "data.task": "classification"})
    undecided = explain(young, "gate.undecided")
    assert undecided.startswith("gate.undecided: fail\n  When the interval straddles the margin")
    assert "\n  Value: estimate or pass or fail\n  Default: estimate\n" in undecided
    weights = explain(young, "model.class_weight")
    assert "\n  Value: balanced or a mapping of text to a number above 0 or null\n  Default: null\n" in weights
    assert "\n  model.class_weight.yes: 5.0\n" in weights
    assert "  Value: a whole number of at least 0 and below 4294967296\n" in explain(young, "model.seed")
    assert explain(young, "model.seed").startswith("model.seed: 0 (default)\n")
    assert "  Value: a list of text or null\n" in explain(young, "gate.slices.columns")
    assert "  Default: none\n" in explain(young, "data.target")


def test_a_key_of_the_estimator_is_written_into_its_mapping(young: Project, explain: Callable[..., str]) -> None:
    young.set(**{"data.task": "classification", "gate.primary": "roc_auc", "model.params": {"max_iter": 30}})
    (young.path / "data").mkdir(exist_ok=True)
    young.write("data/summary.json", json.dumps({"train_rows": 500}))
    said = explain(young, "model.params.max_leaf_nodes")
    assert "model.params.max_leaf_nodes: 8 (default)" in said
    assert said.endswith(":\n\n  params: {max_iter: 30, max_leaf_nodes: 8}\n")


def test_json_of_a_key_is_that_part_of_the_whole(young: Project, explain: Callable[..., str]) -> None:
    whole = json.loads(explain(young, as_json=True))
    part = {name: knob for name, knob in whole.items() if name.startswith("serving.log.")}
    assert len(part) == 3 and json.loads(explain(young, "serving.log", as_json=True)) == part
    assert json.loads(explain(young, "gate.margin", as_json=True)) == {"gate.margin": {"value": 0.01, "default": True}}


@pytest.mark.parametrize(
    ("key", "cure"),
    [
        ("gate.margn", "did you mean gate.margin?"),
        ("seconds", "did you mean serving.limits.seconds?"),
        ("margin", "did you mean gate.margin or gate.slices.margin?"),
        ("serving.logs", "did you mean serving.log?"),
        ("gate.mar", "did you mean gate.margin?"),
        ("xyzzy", "`mlops params` shows all of them."),
    ],
)
def test_a_key_that_is_unknown_is_refused(young: Project, explain: Callable[..., str], key: str, cure: str) -> None:
    for as_json in (False, True):
        with pytest.raises(UserError) as refusal:
            explain(young, key, as_json)
        assert str(refusal.value) == f"there is no knob or section {key!r}; {cure}"


def test_the_command_explains_a_key_and_refuses_an_unknown_one(young: Project) -> None:
    code, out, err = call_verb(young.path, "params", "gate.margin", "--json")
    assert (code, json.loads(out), err) == (0, {"gate.margin": {"value": 0.01, "default": True}}, "")
    code, out, err = call_verb(young.path, "params", "xyzzy")
    assert (code, out) == (1, "") and err.startswith("mlops params: there is no knob or section 'xyzzy'; ")


def test_a_section_in_braces_cannot_get_lines(young: Project, explain: Callable[..., str]) -> None:
    text = edit_params(young.read("params.yaml"), {"tune.folds": 5})
    young.write("params.yaml", re.sub(r"tune:\n.*\n  folds: 5", "tune: {folds: 5}", text))
    said = explain(young, "tune.candidates")
    assert said.startswith("tune.candidates: 30 (default)\n")
    assert said.endswith("\nparams.yaml: tune must be a section with a line for each key; correct it.\n")
