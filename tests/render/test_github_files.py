"""What GitHub reads besides the generated workflows is valid, and the names in it exist."""

import json
import re

import yaml
from baked import TEMPLATE, Bake, run


def test_dependabot_files_are_valid(bake: Bake) -> None:
    for folder in (TEMPLATE, bake().path):
        schema = ("--builtin-schema", "vendor.dependabot")
        run("check-jsonschema", *schema, ".github/dependabot.yml", cwd=folder)


def test_dependabot_finds_what_it_is_to_keep_and_leaves_the_python_to_its_owner(bake: Bake) -> None:
    project = bake()
    updates = yaml.safe_load(project.read(".github/dependabot.yml"))["updates"]
    (docker,) = [update for update in updates if update["package-ecosystem"] == "docker"]
    assert project.has_file(f"{docker['directory'].strip('/')}/Dockerfile")
    levels = ["version-update:semver-major", "version-update:semver-minor"]
    assert docker["ignore"] == [{"dependency-name": "python", "update-types": levels}]


def test_the_templates_own_workflow_is_valid_and_safe() -> None:
    run("check-jsonschema", "--builtin-schema", "vendor.github-workflows", ".github/workflows/ci.yml", cwd=TEMPLATE)
    run("zizmor", "--offline", "--persona", "pedantic", "--no-progress", ".github", cwd=TEMPLATE)


def test_the_rulesets_require_checks_that_run_and_protect_what_is_made_once(bake: Bake) -> None:
    project = bake()
    rules = {
        rule["type"]: rule.get("parameters") for rule in json.loads(project.read(".github/rulesets/main.json"))["rules"]
    }
    required = {check["context"] for check in rules["required_status_checks"]["required_status_checks"]}
    jobs = {
        job["name"]
        for name in ("checks", "retrain")
        for job in yaml.safe_load(project.read(f".github/workflows/{name}.yml"))["jobs"].values()
    }
    assert required == {"checks pass", "retrain pass"} <= jobs
    assert {"deletion", "non_fast_forward", "pull_request"} <= rules.keys()
    tags = json.loads(project.read(".github/rulesets/tags.json"))
    assert tags["conditions"]["ref_name"]["include"] == ["refs/tags/model@*", "refs/tags/model#*"]
    branches = json.loads(project.read(".github/rulesets/releases.json"))
    assert branches["conditions"]["ref_name"]["include"] == ["refs/heads/releases/*"]
    for kept in (tags, branches):
        assert {rule["type"] for rule in kept["rules"]} == {"deletion", "non_fast_forward", "update"}, "made once, kept"


def test_the_ruleset_for_those_who_have_an_app_is_for_the_same_tags_and_lets_only_the_app_make_them(bake: Bake) -> None:
    tags = json.loads(bake().read(".github/rulesets/tags.json"))
    (text,) = re.findall(r"<<'JSON'\n(.*?)\n *JSON\n", (TEMPLATE / "docs/publish.md").read_text(), re.S)
    shown = json.loads(text)
    assert shown.keys() == tags.keys() and (shown["target"], shown["conditions"]) == (
        tags["target"],
        tags["conditions"],
    )
    assert shown["rules"] == [{"type": "creation"}]
    assert [actor["actor_type"] for actor in shown["bypass_actors"]] == ["Integration"]


def test_nobody_is_made_a_code_owner_who_may_be_an_organisation(bake: Bake) -> None:
    """GitHub takes `@user` and `@org/team`, and calls a line wrong that names an organisation."""
    project = bake(github_owner="acme-corp")
    assert not [name for name in project.files() if name.endswith("CODEOWNERS")]
    (rules,) = [
        rule["parameters"]
        for rule in json.loads(project.read(".github/rulesets/main.json"))["rules"]
        if rule["type"] == "pull_request"
    ]
    assert rules["require_code_owner_review"] is False


def test_the_pre_commit_hooks_need_no_network(bake: Bake) -> None:
    config = yaml.safe_load(bake().read(".pre-commit-config.yaml"))
    assert [repository["repo"] for repository in config["repos"]] == ["local"]
    hooks = config["repos"][0]["hooks"]
    assert {hook["language"] for hook in hooks} == {"system"}
    assert all(hook["entry"].startswith(".venv/bin/") for hook in hooks)
