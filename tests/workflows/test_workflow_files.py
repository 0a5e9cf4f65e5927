"""The generated workflows say what GitHub, its linters and a careful reader ask for."""

import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from baked import TEMPLATE, Bake, Project, run
from local_github import read_yaml
from mlops_actions.registry.handover import ARTIFACT

# What each action's version was when its commit was pinned; Dependabot moves both together.
PINS = {
    "actions/checkout": ("3d3c42e5aac5ba805825da76410c181273ba90b1", "v7.0.1"),
    "actions/attest": ("1e69f48acb82d1966a394da916b4c1698aa569d6", "v4.2.2"),
    "actions/cache": ("55cc8345863c7cc4c66a329aec7e433d2d1c52a9", "v6.1.0"),
    "actions/upload-artifact": ("043fb46d1a93c77aae656e7c1c64a875d1fc6a0a", "v7.0.1"),
    "astral-sh/setup-uv": ("20cfd1bf945f4377ade1205e4dbc17946fc9a30d", "v10.0.1"),
}
# The newest uv whose checksum is in src/download/checksum of that commit of setup-uv: what `latest-known` installs.
UV = "0.12.4"
PERMISSIONS = {
    "checks": {"checks": {"contents": "read"}, "pass": {}},
    "retrain": {"retrain": {"contents": "read"}, "pass": {}},
    "report": {
        "pictures": {"contents": "write", "actions": "read", "pull-requests": "read"},
        "report": {"contents": "read", "actions": "read", "pull-requests": "write"},
        "pass": {},
    },
    "publish": {
        "train": {"contents": "read"},
        "publish": {"contents": "write", "actions": "read", "id-token": "write", "attestations": "write"},
        "image": {"contents": "read", "packages": "write"},
        "pass": {},
    },
    "keep": {"keep": {"contents": "write"}},
    "deploy": {"deploy": {"contents": "write"}},
    "canary": {"watch": {"contents": "read"}, "canary": {"contents": "write"}},
}
CANCELS = {name: name in ("checks", "retrain") for name in PERMISSIONS}
EXPLAINED = {"dangerous-triggers", "github-env"}
ACTION = ".github/actions/setup/action.yml"
SECURITY = TEMPLATE / "docs/security.md"
ENGINE = TEMPLATE / "engine/pyproject.toml"


@pytest.fixture(scope="module")
def generated(bake: Bake) -> Project:
    """A project to read."""
    return bake()


@pytest.fixture(params=PERMISSIONS)
def name(request: pytest.FixtureRequest) -> str:
    """Each workflow in turn."""
    return str(request.param)


@pytest.fixture
def workflow(generated: Project, name: str) -> dict[str, Any]:
    """Its content."""
    content: dict[str, Any] = read_yaml(generated.read(f".github/workflows/{name}.yml"))
    return content


def all_steps(generated: Project) -> list[dict[str, Any]]:
    """Every step of every workflow and of the composite action."""
    files = [read_yaml(generated.read(f".github/workflows/{name}.yml")) for name in PERMISSIONS]
    steps = [step for file in files for job in file["jobs"].values() for step in job["steps"]]
    return [*steps, *read_yaml(generated.read(ACTION))["runs"]["steps"]]


def test_there_are_seven_workflows_with_the_names_of_their_files(generated: Project) -> None:
    files = {path.stem: path for path in (generated.path / ".github/workflows").iterdir()}
    assert files.keys() == PERMISSIONS.keys()
    assert all(read_yaml(path.read_text())["name"] == stem for stem, path in files.items())


def test_zizmor_finds_nothing_but_what_is_explained(generated: Project) -> None:
    run("zizmor", "--offline", "--persona", "pedantic", "--no-progress", ".github", cwd=generated.path)
    text = "".join(path.read_text() for path in (generated.path / ".github").glob("*/**/*.yml"))
    ignored = re.findall(r"# zizmor: ignore\[([\w-]+)\](.*)", text)
    assert {rule for rule, _ in ignored} == EXPLAINED and text.count("zizmor:") == len(ignored)
    assert all(len(reason.split()) > 4 for _, reason in ignored)


def test_github_and_shellcheck_accept_every_file(generated: Project, tmp_path: Path) -> None:
    schema = ("check-jsonschema", "--builtin-schema")
    workflows = sorted(map(str, (generated.path / ".github/workflows").glob("*.yml")))
    run(*schema, "vendor.github-workflows", *workflows, cwd=generated.path)
    run(*schema, "vendor.github-actions", ACTION, cwd=generated.path)
    run("shellcheck", ".github/actions/setup/install-cml", ".github/actions/setup/bin/mlops", cwd=generated.path)
    for number, step in enumerate(step for step in all_steps(generated) if "run" in step):
        script = tmp_path / f"{number}.sh"
        script.write_text("#!/bin/bash -e\n" + re.sub(r"\$\{\{.*?\}\}", "/path", step["run"]) + "\n")
        run("shellcheck", script, cwd=tmp_path)


def test_every_action_is_pinned_to_the_commit_of_its_version(generated: Project) -> None:
    files = [ACTION, *(f".github/workflows/{name}.yml" for name in PERMISSIONS)]
    lines = [line for file in files for line in generated.read(file).splitlines() if "uses:" in line]
    used = [re.fullmatch(r"\s*(?:- )?uses: ([\w-]+/[\w-]+)@([0-9a-f]{40}) # (v[\d.]+)", line) for line in lines]
    pinned = [found for found in used if found]
    assert {found[1] for found in pinned} == PINS.keys()
    assert all(PINS[found[1]] == (found[2], found[3]) for found in pinned)
    others = [line.strip() for line, found in zip(lines, used, strict=True) if not found]
    assert set(others) == {"- uses: ./.github/actions/setup"}


def test_uv_is_one_whose_checksum_the_action_knows_and_its_cache_is_the_actions_own_choice_or_none(
    generated: Project,
) -> None:
    (setup,) = [step for step in all_steps(generated) if step.get("uses", "").startswith("astral-sh/setup-uv@")]
    cache = "${{ inputs.cache == 'true' && 'auto' || 'false' }}"
    assert setup["with"] == {"version": "latest-known", "python-version": "3.11", "enable-cache": cache}
    assert generated.run("uv", "--version").stdout.split()[1] == UV, "the tests prove what workflows install"


def test_uv_in_the_container_and_in_the_tests_is_the_one_that_workflows_install(generated: Project) -> None:
    named = re.findall(r"\buv *([<>=~!][^\s\"]+)", generated.read("deploy/Dockerfile"))
    (tested,) = [
        need
        for need in tomllib.loads((TEMPLATE / "pyproject.toml").read_text())["dependency-groups"]["dev"]
        if re.match(r"uv\b", need)
    ]
    assert named == [f"=={UV}"] and tested == f"uv=={UV}"


def test_a_workflow_may_do_nothing_and_each_job_only_what_it_needs(name: str, workflow: dict[str, Any]) -> None:
    assert workflow["permissions"] == {}
    assert {job: content["permissions"] for job, content in workflow["jobs"].items()} == PERMISSIONS[name]


def test_the_page_on_security_says_what_each_job_may_and_why(generated: Project) -> None:
    rows = []
    for name in sorted(PERMISSIONS):
        job = ""
        for line in generated.read(f".github/workflows/{name}.yml").splitlines():
            if begins := re.fullmatch(r"  (\w+):", line):
                job = begins[1]
            if given := re.fullmatch(r"      ([\w-]+: (?:read|write)) # (.+)", line):
                rows.append(f"| `{name}` | `{job}` | `{given[1]}` | {given[2]} |")
    assert len(rows) == sum(len(scopes) for jobs in PERMISSIONS.values() for scopes in jobs.values())
    assert [line for line in SECURITY.read_text().splitlines() if re.match(r"\| `\w+` \| `\w+` \| `", line)] == rows


def test_every_test_that_the_page_on_security_names_is_there() -> None:
    named = set(re.findall(r"`(test_\w+\.py)`", SECURITY.read_text()))
    assert len(named) > 20 and named <= {path.name for path in (TEMPLATE / "tests").rglob("test_*.py")}


def test_every_job_ends_in_time_and_every_workflow_has_its_turn(name: str, workflow: dict[str, Any]) -> None:
    assert all(0 < job["timeout-minutes"] < 360 for job in workflow["jobs"].values())
    assert workflow["concurrency"]["cancel-in-progress"] is CANCELS[name]
    assert workflow["concurrency"]["group"].startswith(name)


def test_one_last_job_passes_only_if_all_others_did(name: str, workflow: dict[str, Any]) -> None:
    if name in ("keep", "deploy", "canary"):  # no checks of a commit: nothing waits for them
        assert "pass" not in workflow["jobs"]
        return
    *others, last = workflow["jobs"]
    job = workflow["jobs"][last]
    assert (last, job["name"], job["if"]) == ("pass", f"{name} pass", "always()")
    assert sorted(job["needs"]) == sorted(others)
    accepted = ["success", "skipped"] if name == "report" else ["success"]
    (step,) = job["steps"]
    assert re.findall(r'test "\$RESULT" = (\w+)', step["run"]) == accepted
    assert re.findall(r'test "\$IMAGE" = (\w+)', step["run"]) == (["success", "skipped"] if name == "publish" else [])
    assert step["env"].pop("IMAGE", None) == ("${{ needs.image.result }}" if name == "publish" else None)
    assert step["env"] == {"RESULT": f"${{{{ needs.{name}.result }}}}"}


def test_no_checkout_leaves_credentials(generated: Project) -> None:
    checkouts = [step for step in all_steps(generated) if step.get("uses", "").startswith("actions/checkout@")]
    assert len(checkouts) == 11
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)
    assert not any("submodules" in step["with"] for step in checkouts)


def test_no_secret_is_read_but_the_jobs_own_token(generated: Project) -> None:
    for name in PERMISSIONS:
        text = generated.read(f".github/workflows/{name}.yml")
        # The one that reads a server's report may need what that server asks for.
        assert set(re.findall(r"secrets\.(\w+)", text)) == ({"MLOPS_TOKEN"} if name == "canary" else set())
        assert "pull_request_target" not in text
    assert "GITHUB_TOKEN" not in generated.read(ACTION)


def test_each_step_is_one_command_that_nothing_is_pasted_into(generated: Project) -> None:
    for step in all_steps(generated):
        command = step.get("run", "")
        assert "\n" not in command.strip(), command
        pasted = re.findall(r"\$\{\{\s*(.*?)\s*\}\}", command)
        assert set(pasted) <= {"github.action_path"}, command
        assert "ingest" not in command, "which fetches from where params.yaml says"
    for name in PERMISSIONS:
        jobs = read_yaml(generated.read(f".github/workflows/{name}.yml"))["jobs"]
        commands = [step["run"] for step in jobs[name]["steps"] if "run" in step]
        assert commands and all(re.match(r"mlops \w+", command) for command in commands)


HOSTILE = [
    'it\'s "here"; touch evil; "',
    "$(touch evil) `touch evil` ${HOME} !!",
    "one\ntouch evil\n::error::two",
    "--help",
    "* ~ \\ ${{ github.token }}",
]


@pytest.mark.parametrize("value", HOSTILE)
def test_whatever_a_person_or_a_variable_says_reaches_each_command_as_one_word(
    generated: Project, tmp_path: Path, value: str
) -> None:
    for name in ("mlops", "docker"):
        (tmp_path / name).write_text("#!/bin/sh\nprintf '%s\\0' \"$@\" > words\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "work").mkdir()
    named = 0
    for step in all_steps(generated):
        command, words = step.get("run", ""), tmp_path / "work/words"
        if not command.startswith(("mlops ", "docker ")):
            continue
        given = dict.fromkeys(["GITHUB_ACTOR", *step.get("env", {})], value)
        environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path), **given}
        done = subprocess.run(
            ["bash", "-e", "-c", command], cwd=tmp_path / "work", env=environment, capture_output=True
        )
        assert done.returncode == 0 and not done.stderr, (command, done.stderr)
        plain = re.sub(r" <<< .*", "", command)
        wanted = [re.sub(r"\$\w+", lambda _: value, word.replace('"', "")) for word in plain.split()[1:]]
        assert words.read_text().split("\0")[:-1] == wanted
        assert [path.name for path in (tmp_path / "work").iterdir()] == ["words"]
        named += value in wanted or any(word.endswith(f"={value}") for word in wanted)
    assert named >= 7, "the actions of deploy, the canary's two, the image's"


def test_the_job_that_writes_comments_runs_the_default_branch_and_installs_nothing_else(generated: Project) -> None:
    report = read_yaml(generated.read(".github/workflows/report.yml"))["jobs"]["report"]
    checkout, setup, comment = report["steps"]
    assert checkout["with"]["ref"] == "${{ github.event.repository.default_branch }}"
    assert setup["with"] == {"dependencies": "false", "cml": "true"}
    assert comment["run"] == "mlops comment"
    assert comment["env"] == {
        "PICTURES_COMMIT": "${{ needs.pictures.outputs.commit }}",
        "GITHUB_TOKEN": "${{ github.token }}",
    }


def test_the_job_that_may_write_to_the_repository_installs_no_cml_and_the_comment_does_without_it(
    generated: Project,
) -> None:
    jobs = read_yaml(generated.read(".github/workflows/report.yml"))["jobs"]
    checkout, setup, store = jobs["pictures"]["steps"]
    assert checkout["with"]["ref"] == "${{ github.event.repository.default_branch }}"
    assert setup["with"] == {"dependencies": "false"}
    assert store["run"] == "mlops pictures" and store["env"] == {"GITHUB_TOKEN": "${{ github.token }}"}
    assert jobs["pictures"]["outputs"] == {"commit": f"${{{{ steps.{store['id']}.outputs.commit }}}}"}
    assert jobs["report"]["needs"] == ["pictures"] and jobs["report"]["if"].startswith("!cancelled() ")


def test_a_repository_variable_names_the_runner_of_the_jobs_that_train_and_of_no_other(
    name: str, workflow: dict[str, Any]
) -> None:
    bigger = "${{ vars.TRAINING_RUNNER || 'ubuntu-latest' }}"
    runners = {job: content["runs-on"] for job, content in workflow["jobs"].items()}
    training = {"retrain", "train"}
    assert runners == {job: bigger if job in training else "ubuntu-latest" for job in runners}
    for content in workflow["jobs"].values():
        for step in content["steps"]:
            place = step.get("env", {}).get("COMPUTE")
            assert place == ("${{ vars.COMPUTE }}" if step.get("run", "").startswith("mlops train") else None)


def test_the_job_that_may_push_images_holds_no_other_write_and_gets_one_version(generated: Project) -> None:
    jobs = read_yaml(generated.read(".github/workflows/publish.yml"))["jobs"]
    image = jobs["image"]
    (files,) = [step["id"] for step in jobs["publish"]["steps"] if step.get("run") == "mlops release --prepare dist"]
    assert jobs["publish"]["outputs"] == {"image": f"${{{{ steps.{files}.outputs.image }}}}"}
    assert (image["if"], image["needs"]) == ("needs.publish.outputs.image", ["publish"])
    *_, login, build, logout = image["steps"]
    assert (logout["run"], logout["if"]) == ("docker logout ghcr.io", "always()")
    assert login["run"].startswith("docker login ghcr.io ") and "--password-stdin" in login["run"]
    assert build["run"] == 'mlops image "$VERSION" --push'
    assert build["env"]["VERSION"] == "${{ needs.publish.outputs.image }}"


def test_publishing_skips_no_training_and_judges_before_it_hands_over(generated: Project) -> None:
    train = read_yaml(generated.read(".github/workflows/publish.yml"))["jobs"]["train"]
    commands = [step["run"] for step in train["steps"] if "run" in step]
    assert commands == ["mlops train --no-run-cache", "mlops compare", "mlops handover write trained"]
    assert not any("actions/cache" in step.get("uses", "") for step in train["steps"])
    last = train["steps"][-1]
    assert last["uses"].startswith("actions/upload-artifact@") and "if" not in last
    assert last["with"]["name"] == ARTIFACT and last["with"]["path"] == "trained/" and last["with"]["overwrite"] is True


def test_the_job_that_publishes_waits_for_the_training_and_trains_nothing(generated: Project) -> None:
    publish = read_yaml(generated.read(".github/workflows/publish.yml"))["jobs"]["publish"]
    assert publish["needs"] == ["train"] and "if" not in publish
    commands = [step["run"] for step in publish["steps"] if "run" in step]
    assert commands == [
        "mlops handover take",
        "mlops push",
        "mlops version",
        "mlops release --prepare dist",
        "mlops release --from dist",
    ]
    assert {step["uses"].partition("@")[0] for step in publish["steps"] if "uses" in step} == {
        "actions/checkout",
        "./.github/actions/setup",
        "actions/attest",
    }


def test_what_may_write_installs_one_library_or_nothing_and_takes_no_cache_that_code_may_have_filled(
    generated: Project,
) -> None:
    setups = {}
    for name in PERMISSIONS:
        for job, content in read_yaml(generated.read(f".github/workflows/{name}.yml"))["jobs"].items():
            if "write" in content["permissions"].values():
                (setup,) = [step for step in content["steps"] if step.get("uses") == "./.github/actions/setup"]
                setups[name, job] = setup["with"]
    assert setups.pop(("publish", "publish")) == {"group": "publish", "cache": "false"}
    assert setups.pop(("publish", "image")) == {"cache": "false"}, "which may write packages alone"
    assert len(setups) == 5 and all(given["dependencies"] == "false" for given in setups.values()), setups
    project, engine = (tomllib.loads(path.read_text()) for path in (generated.path / "pyproject.toml", ENGINE))
    assert project["dependency-groups"]["publish"] == ["mlops-actions[publish]"]
    assert "publish" not in project["tool"]["uv"]["default-groups"]
    (library,) = engine["project"]["optional-dependencies"]["publish"]
    assert library.startswith("ruamel.yaml>") and engine["project"]["dependencies"] == []


def test_the_bundle_is_attested_between_the_writing_of_its_release_and_its_publishing(generated: Project) -> None:
    steps = read_yaml(generated.read(".github/workflows/publish.yml"))["jobs"]["publish"]["steps"]
    files, attest, release = steps[-3:]
    assert attest["uses"].startswith("actions/attest@") and attest["with"] == {"subject-path": "dist/bundle.zip"}
    assert attest["if"] == f"steps.{files['id']}.outputs.attest" and files["env"]["ATTEST"] == "${{ vars.ATTEST }}"
    assert release["env"]["ATTESTATION"] == f"${{{{ steps.{attest['id']}.outputs.bundle-path }}}}"
    assert release["if"] == f"steps.{files['id']}.outputs.release"


def test_a_schedule_stands_alone_so_that_github_disables_nothing_else_with_it(workflow: dict[str, Any]) -> None:
    triggers = workflow["on"]
    if "schedule" in triggers:
        assert set(triggers) <= {"schedule", "workflow_dispatch"}


def test_only_a_push_of_main_starts_what_pushes_start(workflow: dict[str, Any]) -> None:
    if "push" in workflow["on"]:
        assert workflow["on"]["push"]["branches"] == ["main"], "and no branch that keeps workflows does"


def test_no_merge_is_passed_over_in_the_queue_of_publish(generated: Project) -> None:
    turns = read_yaml(generated.read(".github/workflows/publish.yml"))["concurrency"]
    assert turns == {"group": "publish", "cancel-in-progress": False, "queue": "max"}


def test_workflows_are_kept_at_once_behind_nobody_and_without_a_third_partys_package(generated: Project) -> None:
    workflow = read_yaml(generated.read(".github/workflows/keep.yml"))
    assert workflow["on"] == {"push": {"branches": ["main"], "paths": [".github/workflows/**"]}}
    assert workflow["concurrency"]["group"] == "keep-${{ github.sha }}"
    checkout, setup, keep = workflow["jobs"]["keep"]["steps"]
    assert checkout["with"]["fetch-depth"] == 0 and setup["with"] == {"dependencies": "false"}
    assert keep["run"] == "mlops keep HEAD"


def test_approval_is_asked_whenever_a_version_moves_and_never_else(generated: Project) -> None:
    jobs = {
        job: content
        for name in ("deploy", "canary")
        for job, content in read_yaml(generated.read(f".github/workflows/{name}.yml"))["jobs"].items()
    }
    approved = {job: content.get("environment") for job, content in jobs.items()}
    assert approved == {"deploy": "production", "watch": None, "canary": "production"}
    (ask,) = [step["run"] for step in jobs["watch"]["steps"] if "run" in step]
    assert ask.endswith(" --dry-run")


def test_each_action_that_deploy_offers_has_its_step_and_waits_for_no_other_action(generated: Project) -> None:
    workflow = read_yaml(generated.read(".github/workflows/deploy.yml"))
    inputs = workflow["on"]["workflow_dispatch"]["inputs"]
    steps = [step for step in workflow["jobs"]["deploy"]["steps"] if "run" in step]
    offered = [f"inputs.action == '{action}'" for action in inputs["action"]["options"]]
    assert [step["if"] for step in steps[: len(offered)]] == offered
    assert inputs["reason"]["required"] is True
    assert workflow["concurrency"]["group"] == "deploy-${{ github.event.inputs.action || github.event_name }}"
    for step in steps:
        assert set(step["env"]) == {*re.findall(r"\$(\w+)", step["run"]), "GITHUB_TOKEN"}
