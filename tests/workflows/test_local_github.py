"""The local GitHub behaves as GitHub does wherever a generated project's workflows rely on it."""

import base64
import random
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from textwrap import dedent

import pytest
from local_github import LocalGitHub, MergeBlockedError, PullRequest, Repository, Run, Workflow, read_yaml, start_github
from local_github.events import Event
from local_github.expressions import fill
from local_github.front import read_token

CHECKOUT = "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1"
UPLOAD = "actions/upload-artifact@043fb46d1a93c77aae656e7c1c64a875d1fc6a0a"
DOWNLOAD = "actions/download-artifact@3e5f45b2cfb9172054b4087a40e8e0b5a5461e7c"
CACHE = "actions/cache@55cc8345863c7cc4c66a329aec7e433d2d1c52a9"
UV = "astral-sh/setup-uv@20cfd1bf945f4377ade1205e4dbc17946fc9a30d"
ATTEST = "actions/attest@1e69f48acb82d1966a394da916b4c1698aa569d6"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalGitHub]:
    """One local GitHub for every test here; each has a repository of its own."""
    with start_github(tmp_path_factory.mktemp("github")) as started:
        yield started


class Project:
    """A repository and its owner's local copy."""

    def __init__(self, hub: LocalGitHub, name: str, directory: Path, private: bool) -> None:
        self.hub = hub
        self.repo: Repository = hub.create_repository(name, private)
        self.work = directory / "work"
        self.work.mkdir()
        self.git("init", "--quiet")
        self.repo.connect(self.work)

    def git(self, *arguments: str) -> str:
        """What git prints in the local copy."""
        return self.hub.on_laptop(["git", *arguments], self.work, "acme")

    def commit(self, **files: str) -> None:
        """Commit workflows by their names, and other files by `path__ext`."""
        for name, text in files.items():
            path = Path(name.replace("__", ".")) if "__" in name else Path(".github/workflows", f"{name}.yml")
            self.work.joinpath(path).parent.mkdir(parents=True, exist_ok=True)
            self.work.joinpath(path).write_text(dedent(text))
        self.git("add", ".")
        self.git("commit", "--quiet", "--message", "change")

    def push(self) -> list[Run]:
        """Push main."""
        return self.repo.push(self.work)

    def open_pull(self, branch: str = "topic", **files: str) -> PullRequest:
        """A pull request from a new branch."""
        self.git("checkout", "--quiet", "-b", branch)
        self.commit(**(files or {f"{branch}__txt": branch}))
        self.repo.push(self.work, branch)
        return self.repo.open_pull_request(branch, "A topic")


@pytest.fixture
def project(hub: LocalGitHub, tmp_path: Path, request: pytest.FixtureRequest) -> Project:
    """A public repository named like the test."""
    name = request.node.name.removeprefix("test_").replace("_", "-")[:60].strip("-")
    return Project(hub, f"acme/{name}", tmp_path, private=False)


def job(*steps: str, on: str = "push", permissions: str = "{}", more: str = "") -> str:
    """A workflow of one job."""
    lines = "".join(f"\n      - {step}" for step in steps)
    head = f"on: {on}\npermissions: {permissions}\n{more}\n"
    return f"{head}jobs:\n  only:\n    runs-on: ubuntu-latest\n    steps:{lines}\n"


def test_a_run_tells_its_outcome_and_its_log(project: Project) -> None:
    project.commit(
        greet="""
        name: greet
        on: push
        jobs:
          hello:
            runs-on: ubuntu-latest
            steps:
              - {name: Say, run: 'echo "hello $GITHUB_REPOSITORY $GITHUB_REF"'}
              - {name: Forgive, run: exit 3, continue-on-error: true}
              - {name: Sum, run: 'echo "# done" >> "$GITHUB_STEP_SUMMARY"'}
          never: {needs: hello, if: false, runs-on: ubuntu-latest, steps: [{run: exit 1}]}
          fails: {needs: hello, runs-on: ubuntu-latest, steps: [{name: Break, run: exit 1}]}
        """
    )
    (run,) = project.push()
    run.expect("failure")
    assert run.jobs == {"hello": "success", "never": "skipped", "fails": "failure"}
    assert run.outcome("Forgive") == "failure" and run.outcome("Break") == "failure"
    assert f"hello {project.repo.name} refs/heads/main" in run.log
    assert run.summary == "# done\n"
    with pytest.raises(AssertionError, match="hello acme"):
        run.expect("success")


def test_a_token_pushes_only_with_contents_write(project: Project) -> None:
    steps = (
        f"uses: {CHECKOUT}",
        "run: git config user.name x && git config user.email x@y && git commit -qm new --allow-empty",
        "run: git push origin HEAD:refs/heads/new",
    )
    project.commit(
        reads=job(*steps, permissions="{contents: read}"),
        writes=job(*steps, permissions="{contents: write}"),
        cannot=job(
            f"{{uses: {CHECKOUT}, with: {{persist-credentials: false}}}}", *steps[1:], permissions="{contents: write}"
        ),
    )
    cannot, reads, writes = project.push()
    cannot.expect("failure")
    assert "denied to github-actions[bot]" in reads.expect("failure").log or "403" in reads.log
    writes.expect("success")
    assert "refs/heads/new" in project.repo.bare.refs()
    assert len(project.repo.runs()) == 3, "a push by a workflow's token starts no workflow"


def test_what_a_job_did_not_need_and_where_its_token_stays_is_told(project: Project) -> None:
    project.repo.looks = True
    keeps = 'run: echo "ac:$TOKEN" | base64 --wrap=0 > "$HOME/.login"'
    project.commit(
        careful=job(
            f"{{uses: {CHECKOUT}, with: {{persist-credentials: false}}}}", "run: ls", permissions="{contents: read}"
        ),
        careless=job(
            f"{{name: Take, uses: {CHECKOUT}}}",
            f"{{name: Keep, env: {{TOKEN: '${{{{ github.token }}}}'}}, {keeps}}}",
            "{name: Tell, run: 'cat \"$HOME/.login\"; echo'}",
            permissions="{contents: write, issues: read}",
        ),
    )
    careful, careless = (run.expect("success") for run in project.push())
    assert (careful.unused(), careful.left) == ({}, [])
    assert careless.unused() == {"only": {"contents": "write", "issues": "read"}}
    kept = [line for line in careless.left if ".login" in line]
    assert kept == [f"left on disk after {step!r}: .login" for step in ("Keep", "Tell")]
    taken = [line for line in careless.left if line.startswith("left on disk after 'Take': ")]
    assert taken and all("git-credentials-" in line for line in taken)
    (told,) = [line for line in careless.left if not line.startswith("left on disk")]
    assert base64.b64decode(told).decode().strip() == f"ac:{careless.spent}"


def test_a_token_cannot_change_workflows_or_a_protected_branch(project: Project) -> None:
    change = "echo >> .github/workflows/bad.yml; git config user.name x; git config user.email x@y; git commit -qam y"
    project.repo.protect("main")
    project.commit(
        bad=job(
            f"uses: {CHECKOUT}", f"run: {change}; git push origin HEAD:refs/heads/z", permissions="{contents: write}"
        ),
        main=job(
            f"uses: {CHECKOUT}",
            "run: git config user.name x; git config user.email x@y; git commit -qm y --allow-empty; git push",
            permissions="{contents: write}",
        ),
    )
    bad, main = project.push()
    assert "without `workflows` permission" in bad.expect("failure").log
    assert "GH013" in main.expect("failure").log


def test_a_token_points_no_ref_at_a_commit_whose_workflows_no_branch_has(project: Project) -> None:
    host, name = project.hub.host, project.repo.name
    refs, old = f"gh api repos/{name}/git/refs", "sha=$(git rev-parse HEAD~1)"

    def ask(*commands: str) -> str:
        more = f'env: {{GH_HOST: "{host}", GH_REPO: "{host}/{name}", GH_ENTERPRISE_TOKEN: "${{{{ github.token }}}}"}}'
        steps = [f"{{uses: {CHECKOUT}, with: {{fetch-depth: 0}}}}", *(f"run: {command!r}" for command in commands)]
        return job(*steps, on="workflow_dispatch", permissions="{contents: write}", more=more)

    refused = "2> said && exit 1; cat said; grep -e workflows -e 403 said"
    project.commit(
        tag=ask(
            f"git push origin HEAD~1:refs/tags/old {refused}",
            f"git push origin HEAD~1:refs/heads/old {refused}",
            f"{refs} -f ref=refs/tags/old -f {old} {refused}",
            f"gh release create old --target $(git rev-parse HEAD~1) --notes x {refused}",
            "git push origin HEAD:refs/tags/new",
            f"{refs}/tags/new -X PATCH -F force=true -f {old} {refused}",
            f"gh release create new --draft --target $(git rev-parse HEAD~1) --notes x {refused}",
            "git config user.name x; git config user.email x@y",
            "git push origin $(git commit-tree -m x $(git mktree < /dev/null)):refs/data/store",
        ),
        late=ask(
            "git config user.name x; git config user.email x@y; git tag -m x old HEAD~1; git push origin old",
            f"{refs} -f ref=refs/tags/too -f {old}",
            "gh release create rest --target $(git rev-parse HEAD~1) --notes x",
        ),
    )
    project.push()
    project.commit(other=job("run: echo"))
    project.push()
    (tag,) = project.repo.dispatch(".github/workflows/tag.yml")
    tag.expect("success")
    assert project.repo.tags() == ["new"]
    project.git("push", "--quiet", "origin", "HEAD~1:refs/heads/kept", "HEAD~1:refs/tags/by-a-person")
    (late,) = project.repo.dispatch(".github/workflows/late.yml")
    late.expect("success")
    assert project.repo.tags() == ["by-a-person", "new", "old", "rest", "too"]


def test_a_private_repository_is_checked_out_by_its_token_alone(hub: LocalGitHub, tmp_path: Path) -> None:
    private = Project(hub, "acme/secret", tmp_path, private=True)
    private.commit(
        read=job(
            f"{{uses: {CHECKOUT}, with: {{fetch-depth: 0, persist-credentials: false}}}}",
            "run: test $(git rev-list --count HEAD) = 2 && git tag | grep v1 && ! git fetch origin",
            permissions="{contents: read}",
        ),
        shallow=job(
            f"uses: {CHECKOUT}",
            "run: test $(git rev-list --count HEAD) = 1 && test -z $(git tag) && git fetch origin",
            "run: git config --list --show-origin | grep extraheader | grep ^file:$RUNNER_TEMP/git-credentials-",
            permissions="{contents: read}",
        ),
        without=job(f"uses: {CHECKOUT}", permissions="{issues: write}"),
    )
    private.git("tag", "v1")
    private.git("push", "--quiet", "origin", "v1")
    private.commit(README__md="x")
    read, shallow, without = private.push()
    read.expect("success"), shallow.expect("success"), without.expect("failure")
    with pytest.raises(RuntimeError, match="not found"):
        private.repo.clone(tmp_path / "copy", "contributor")
    assert (private.repo.clone(tmp_path / "mine") / "README.md").read_text() == "x"


def test_each_job_has_its_own_permissions(project: Project) -> None:
    project.commit(
        jobs=f"""
        name: jobs
        on: push
        permissions: {{}}
        env: {{GH_HOST: "{project.hub.host}", GH_ENTERPRISE_TOKEN: "${{{{ github.token }}}}"}}
        jobs:
          may:
            permissions: {{issues: write}}
            runs-on: ubuntu-latest
            steps: [{{run: 'gh api "repos/$GITHUB_REPOSITORY/issues" -f title=drift'}}]
          may-not:
            needs: may
            runs-on: ubuntu-latest
            steps: [{{run: 'gh api "repos/$GITHUB_REPOSITORY/issues" -f title=drift'}}]
        """
    )
    (run,) = project.push()
    assert run.jobs == {"may": "success", "may-not": "failure"}, run.log
    assert "Resource not accessible by integration" in run.log


def comment(pull: str, body: str) -> str:
    """A step in which CML comments on the pull request that an input names, with what a command prints."""
    return (
        f"run: {body} > body.md; cml comment create --driver=github --target=pr/${{{{ inputs.{pull} }}}}"
        " --publish=false --update --watermark-title=report body.md 2> said || cut -c1-300 said"  # act drops long lines
    )


COMMENT = job(
    comment("quiet", "printf first"),
    comment("quiet", "printf second"),
    comment("busy", "printf late"),
    comment("busy", "printf late"),
    comment("long", "head -c 66000 /dev/zero | tr '\\0' x"),
    on="{workflow_dispatch: {inputs: {quiet: {}, busy: {}, long: {}}}}",
    permissions="{pull-requests: write}",
    more="""env:
  REPO_TOKEN: ${{ github.token }}
  CML_REPO: ${{ github.server_url }}/${{ github.repository }}
""",
)


def test_cml_updates_its_comment_until_thirty_others_hide_it_and_a_long_one_is_refused(project: Project) -> None:
    project.commit(comment=COMMENT)
    project.push()
    pulls = {name: project.open_pull(name) for name in ("quiet", "busy", "long")}
    quiet, busy, long = pulls.values()
    for number in range(30):
        busy.comment(f"chat {number}")
    inputs = {name: str(pull.number) for name, pull in pulls.items()}
    (run,) = project.repo.dispatch(".github/workflows/comment.yml", inputs)
    assert run.expect("success").log.count("body is too long") == 1 and long.comments() == []
    (mine,) = quiet.comments()
    sha = project.repo.bare.resolve("main")
    assert mine["body"] == f'second\n\n![](https://cml.dev/watermark.png#{sha} "CML watermark report")'
    assert mine["user"]["login"] == "github-actions[bot]"
    path = f"repos/{project.repo.name}/issues/{quiet.number}/comments"
    pages = project.hub.on_laptop(["gh", "api", "-i", path], project.work, "acme")
    assert "\nLink:" not in pages
    assert [one["body"][:4] for one in busy.comments()[30:]] == ["late", "late"], "CML reads one page only"
    path = f"repos/{project.repo.name}/issues/{busy.number}/comments"
    listed = project.hub.on_laptop(["gh", "api", "-i", path], project.work, "acme")
    assert 'rel="next"' in listed and "page=2" in listed
    every = ["gh", "api", "--paginate", path, "--jq", ".[].id"]
    assert len(project.hub.on_laptop(every, project.work, "acme").split()) == 32


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("comment create --target=pr/1 body.md", "--publish=false"),
        ("comment create --publish=false body.md", "--target=pr/N"),
        ("comment create --publish=false --target=pr/1 --bogus body.md", "unrecognized"),
        ("send-comment body.md", "invalid choice"),
        ("comment create --publish=false --target=pr/1 --repo=acme/churn body.md", "Invalid URL"),
    ],
)
def test_cml_refuses_what_the_real_one_would_or_what_is_unsafe(
    hub: LocalGitHub, tmp_path: Path, arguments: str, said: str
) -> None:
    (tmp_path / "body.md").write_text("x")
    environment = hub.laptop("acme") | {"REPO_TOKEN": "x", "GITHUB_REPOSITORY": "acme/churn"}
    command = [str(hub.tools / "cml"), *arguments.split()]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode and said in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("login ghcr.io --username ada --password-stdin", "denied"),
        ("login ghcr.io --username ada", "required"),
        ("build --file=Dockerfile --tag=a/b:1 --bogus .", "unrecognized"),
        ("build --file=Dockerfile --tag=a/b:1 --build-arg=GROPU=full .", "not consumed"),
        ("build --file=Dockerfile --tag=a/b:1 --build-arg=FROM=gone .", '"/gone": not found'),
        ("push a/b:1", "does not exist"),
        ("run a/b:1", "invalid choice"),
    ],
)
def test_docker_refuses_what_the_real_one_would(hub: LocalGitHub, tmp_path: Path, arguments: str, said: str) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\nARG FROM=here\nCOPY ${FROM} /\n")
    (tmp_path / "here").touch()
    environment = hub.laptop("acme") | {"HOME": str(tmp_path)}
    command = [str(hub.tools / "docker"), *arguments.split()]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, input="wrong")
    assert done.returncode and said in done.stderr


def test_a_release_is_drafted_filled_published_and_then_immutable(project: Project) -> None:
    host = project.hub.host
    project.commit(
        publish=job(
            f"uses: {CHECKOUT}",
            "run: echo bytes > model.zip; echo card > card.md; git tag v1; git push -q origin v1",
            'run: gh release create v1 --draft --verify-tag --title "Version 1" --notes-file card.md',
            "run: gh release upload v1 model.zip && gh release upload v1 model.zip --clobber",
            "run: test $(gh api repos/$GITHUB_REPOSITORY/releases --paginate --jq '.[]|select(.draft).tag_name') = v1",
            "run: gh release view v1 --json isDraft --jq .isDraft | grep true",
            "run: '! gh api repos/$GITHUB_REPOSITORY/releases/tags/v1'",
            "run: gh release edit v1 --draft=false",
            "run: '! gh release upload v1 card.md'",
            "run: gh release download v1 --dir got && cmp got/model.zip model.zip",
            permissions="{contents: write}",
            more=f'env: {{GH_HOST: "{host}", GH_REPO: "{host}/{project.repo.name}", '
            'GH_ENTERPRISE_TOKEN: "${{ github.token }}"}',
        )
    )
    (run,) = project.push()
    run.expect("success")
    (release,) = project.repo.releases()
    assert (release["tag_name"], release["name"], release["draft"]) == ("v1", "Version 1", False)
    address = release["assets"][0]["browser_download_url"]
    fetched = project.hub.on_laptop(["curl", "-fsSL", address], project.work, "contributor")
    assert fetched == "bytes"
    assert project.repo.tags() == ["v1"]


RETRAIN = job(
    f"uses: {CHECKOUT}",
    'run: mkdir report; echo "$GITHUB_SHA ${{ github.event.number }}" > report/report.md; echo ${{ secrets.KEY }}.',
    f"{{uses: {UPLOAD}, with: {{name: report, path: report/, if-no-files-found: error}}}}",
    on="pull_request",
    permissions="{contents: read}",
    more="name: retrain",
)
REPORT = job(
    f"uses: {CHECKOUT}",
    f"{{uses: {DOWNLOAD}, with: {{name: report, path: report, run-id: '${{{{ github.event.workflow_run.id }}}}', "
    "github-token: '${{ github.token }}'}}",
    "run: 'cml comment create --target=pr/$(cut -d\" \" -f2 report/report.md) --publish=false report/report.md'",
    on="{workflow_run: {workflows: [retrain], types: [completed]}}",
    permissions="{contents: read, actions: read, pull-requests: write}",
    more="name: report\nenv: {REPO_TOKEN: '${{ github.token }}', "
    "CML_REPO: '${{ github.server_url }}/${{ github.repository }}'}",
)


def test_a_pull_request_runs_its_merge_and_then_main_reports(project: Project) -> None:
    project.commit(retrain=RETRAIN, report=REPORT)
    assert project.push() == []
    pull = project.open_pull(report=REPORT.replace("cml comment", "false"))
    retrain, report = pull.runs
    retrain.expect("success"), report.expect("success")
    merge = project.repo.bare.resolve(f"refs/pull/{pull.number}/merge")
    assert retrain.artifacts["report"].read() == {"report.md": f"{merge} {pull.number}\n".encode()}
    assert retrain.head_sha == project.git("rev-parse", "topic") != merge
    assert retrain.describe()["pull_requests"][0]["number"] == pull.number
    assert report.event.sha == project.repo.bare.resolve("main"), "the report's own code is main's"
    assert pull.comments()[0]["body"].startswith(f"{merge} {pull.number}\n")


def test_a_forks_pull_request_reads_only_and_has_no_secrets_and_nobody_else_checks_its_code_out(
    project: Project, tmp_path: Path
) -> None:
    project.repo.secrets["KEY"] = "sesame"
    attack = RETRAIN.replace("contents: read", "contents: write, pull-requests: write")
    listens = "{workflow_run: {workflows: [retrain], types: [completed]}}"
    unsafe = f"{{uses: {CHECKOUT}, with: {{ref: '${{{{ github.event.workflow_run.head_sha }}}}'}}}}"
    project.commit(retrain=attack, report=REPORT, unsafe=job(unsafe, on=listens, permissions="{contents: read}"))
    project.push()
    fork = project.repo.fork("contributor")
    copy = fork.clone(tmp_path / "fork")
    hub = project.hub
    hub.on_laptop(["git", "commit", "--quiet", "--allow-empty", "--message", "mine"], copy, "contributor")
    fork.push(copy, "main")
    pull = project.repo.open_pull_request("main", "From a fork", fork)
    retrain, report, careless = pull.runs
    assert "Refusing to check out fork" in careless.expect("failure").log
    assert "\n.\n" in retrain.expect("success").log, "no secret reaches a fork's run"
    report.expect("success")
    assert retrain.current_permissions()["contents"] == "read"
    assert retrain.describe()["pull_requests"] == []
    assert retrain.describe()["head_repository"]["full_name"] == fork.name
    assert len(pull.comments()) == 1

    def numbers(path: str) -> str:
        return hub.on_laptop(["gh", "api", path, "--jq", ".[].number"], copy, "acme")

    assert numbers(f"repos/{project.repo.name}/commits/{pull.head_sha}/pulls") == ""
    assert numbers(f"repos/{fork.name}/commits/{pull.head_sha}/pulls") == str(pull.number)
    assert numbers(f"repos/{project.repo.name}/pulls?head=contributor:main") == str(pull.number)
    assert numbers(f"repos/{project.repo.name}/pulls?head=acme:main") == ""
    fork.push(copy, "main")
    (parents,) = [project.repo.bare.git("log", "-1", "--format=%P", f"refs/pull/{pull.number}/merge")]
    assert parents.split() == [project.repo.bare.resolve("main"), pull.head_sha]


def test_a_red_check_blocks_a_merge_that_is_not_forced_and_a_push_runs_it_again(project: Project) -> None:
    gate = job("run: echo ${{ github.event.action }}; exit 1", on="pull_request")
    project.commit(gate=gate, main=job("run: echo published", on="{push: {branches: [main]}}"))
    project.push()
    pull = project.open_pull()
    project.commit(topic__txt="again")
    (run,) = project.repo.push(project.work, "topic")
    assert "synchronize" in run.expect("failure").log
    assert pull.head_sha == project.git("rev-parse", "HEAD") == run.head_sha
    with pytest.raises(MergeBlockedError, match="gate"):
        project.repo.merge(pull)
    (published,) = project.repo.merge(pull, force=True)
    tip = project.repo.bare.resolve("main")
    assert published.event.sha == tip == pull.merge_commit
    assert len(project.repo.bare.git("log", "-1", "--format=%P", str(tip)).split()) == 2


def test_two_merges_at_once_run_one_after_the_other(project: Project) -> None:
    group = "concurrency: {group: '${{ github.workflow }}', cancel-in-progress: false}"
    publish = job("run: sleep 0.3", on="{push: {branches: [main]}}", more=f"name: publish\n{group}")
    project.commit(publish=publish)
    project.push()
    first = project.open_pull("first")
    project.git("checkout", "--quiet", "main")
    second = project.open_pull("second")
    with ThreadPoolExecutor() as pool:
        merged = list(pool.map(project.repo.merge, [first, second]))
    runs = sorted((runs[0].expect("success") for runs in merged), key=lambda run: run.id)
    log = project.repo.bare.git("log", "--first-parent", "--format=%H", "main").splitlines()
    assert {run.event.sha for run in runs} == set(log[:2])
    assert {pull.state for pull in (first, second)} == {"closed"}


def test_git_takes_large_pushes_other_refs_and_partial_fetches(project: Project) -> None:
    (project.work / "large.bin").write_bytes(random.Random(0).randbytes(3_000_000))
    project.commit(README__md="x")
    assert project.push() == []
    project.git("push", "--quiet", "origin", "HEAD:refs/dvc/store")
    assert "refs/dvc/store" in project.git("ls-remote", "origin")
    partial = project.work.parent / "partial.git"
    project.git("init", "--quiet", "--bare", str(partial))
    project.hub.on_laptop(
        ["git", "fetch", "--quiet", "--filter=blob:none", "--depth=1", project.repo.url, "refs/dvc/store"],
        partial,
        "contributor",
    )
    size = project.hub.on_laptop(["git", "count-objects", "-v"], partial, "contributor")
    assert "size-pack: 1\n" in size or "size-pack: 0\n" in size


def test_runs_of_a_group_take_turns_and_a_newer_one_replaces_the_waiting_one_unless_all_are_queued(
    project: Project,
) -> None:
    ends = {"single": ["success", "cancelled", "success"], "max": ["success", "success", "success"]}
    go = project.work.parent / "go"
    script = f"run: date +from=%s%N; until [ -e {go} ]; do sleep 0.02; done; date +to=%s%N"
    group = "concurrency: {{group: '${{{{ github.workflow }}}}', queue: {queue}}}"
    project.commit(
        **{
            queue: job(script, on="workflow_dispatch", more=f"name: {queue}\n{group.format(queue=queue)}")
            for queue in ends
        }
    )
    project.push()
    for queue, expected in ends.items():
        with ThreadPoolExecutor() as pool:
            for number in range(1, 4):
                pool.submit(project.repo.dispatch, queue)
                while len(project.repo.runs(queue)) < number or not project.repo.runs(queue)[0].process:
                    time.sleep(0.01)
            go.touch()
        go.unlink()
        runs = project.repo.runs(queue)
        assert [run.conclusion for run in runs] == expected
        log = "".join(run.log for run in runs if run.conclusion == "success")
        times = [int(time) for time in re.findall(r"^(?:from|to)=(\d+)$", log, re.M)]
        assert len(times) == 2 * expected.count("success") and times == sorted(times), "one after the other, in order"


def test_a_queue_that_cancels_is_refused() -> None:
    bad = Workflow("x.yml", read_yaml("concurrency: {group: x, queue: max, cancel-in-progress: true}"))
    with pytest.raises(ValueError, match="queue: max"):
        bad.concurrency({})


def test_a_newer_run_cancels_the_running_one_where_asked(project: Project) -> None:
    more = "name: slow\nconcurrency: {group: x, cancel-in-progress: true}"
    project.commit(slow=job("run: sleep 30", on="workflow_dispatch", more=more))
    project.push()
    first = threading.Thread(target=project.repo.dispatch, args=("slow",))
    first.start()
    while not (project.repo.runs() and project.repo.runs()[0].process):
        time.sleep(0.01)
    second = threading.Thread(target=project.repo.dispatch, args=("slow",))
    second.start()
    first.join(10)
    project.repo.runs()[1].cancel()
    second.join(10)
    assert [run.conclusion for run in project.repo.runs()] == ["cancelled", "cancelled"]


def test_a_run_is_killed_after_a_step_or_at_a_call(project: Project) -> None:
    host = project.hub.host
    project.commit(
        publish=job(
            "{name: Wait, run: sleep 0.1}",
            "{name: Draft, run: gh release create v1 --draft --title v1 --notes x}",
            permissions="{contents: write}",
            more=f'env: {{GH_HOST: "{host}", GH_REPO: "{host}/{project.repo.name}", '
            'GH_ENTERPRISE_TOKEN: "${{ github.token }}"}',
        )
    )
    with project.hub.killing_runs(after_step="Wait"):
        (run,) = project.push()
    assert run.conclusion == "cancelled" and run.outcome("Wait") == "success"
    with project.hub.killing_runs(at_call=r"POST .*/releases$"):
        project.repo.rerun(run)
    assert project.repo.releases() == []
    with project.hub.killing_runs(at_call=r"POST .*/releases$", answered=True):
        (run,) = project.repo.rerun(run)
    assert run.conclusion == "cancelled" and run.attempt == 3
    assert [release["draft"] for release in project.repo.releases()] == [True]


def test_a_run_whose_act_stands_still_begins_again(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local_github.runner.STILL", 1.0)
    mark = project.work.parent / "stopped"
    act = "$(cut -d' ' -f4 /proc/$PPID/stat)"
    project.commit(stop=job(f'run: "test -e {mark} || {{ touch {mark}; kill -STOP {act}; }}"'))
    (run,) = project.push()
    assert run.expect("success").attempt == 1 and mark.exists()


def test_failed_jobs_run_again_beside_what_the_others_came_to(project: Project) -> None:
    project.commit(
        two=f"""
        name: two
        on: push
        jobs:
          makes:
            runs-on: ubuntu-latest
            permissions: {{}}
            outputs: {{word: "${{{{ steps.say.outputs.word }}}}"}}
            steps:
              - {{name: Say, id: say, run: 'echo "word=w$GITHUB_RUN_ATTEMPT" | tee -a "$GITHUB_OUTPUT" > kept'}}
              - {{uses: {UPLOAD}, with: {{name: kept, path: kept}}}}
          takes:
            needs: makes
            runs-on: ubuntu-latest
            permissions: {{actions: read}}
            steps:
              - {{name: Fail at first, run: test $GITHUB_RUN_ATTEMPT != 1}}
              - {{name: Here, uses: {DOWNLOAD}, with: {{name: kept, path: here}}, continue-on-error: true}}
              - uses: {DOWNLOAD}
                with:
                  name: kept
                  path: got
                  run-id: "${{{{ github.run_id }}}}"
                  github-token: "${{{{ github.token }}}}"
              - {{name: Tell, run: 'echo "<$(cat got/kept) ${{{{ needs.makes.outputs.word }}}}>"'}}
          after: {{needs: [takes], runs-on: ubuntu-latest, permissions: {{}}, steps: [{{run: exit 0}}]}}
        """
    )
    (first,) = project.push()
    assert first.expect("failure").jobs == {"makes": "success", "takes": "failure", "after": "skipped"}
    (second,) = project.repo.rerun(first, failed=True)
    assert (second.id, second.number, second.attempt) == (first.id, first.number, 2)
    assert second.expect("success").jobs == {"makes": "success", "takes": "success", "after": "success"}
    assert "<word=w1 w1>" in second.log and "Say" not in [step.name for step in second.steps]
    assert second.outcome("Here") == "failure" and "404 " in second.log and "workflow run not found" in second.log
    assert project.repo.runs("two") == [second], "a run, of which this is the newest attempt"
    with pytest.raises(ValueError, match="none failed"):
        project.repo.rerun(second, failed=True)
    (third,) = project.repo.rerun(first)
    assert "An artifact with the name kept already exists on this run." in third.expect("failure").log
    assert third.attempt == 3


def test_an_artifact_has_names_that_every_file_system_takes(project: Project) -> None:
    project.commit(
        colon=job("run: touch kept", f"{{uses: {UPLOAD}, with: {{name: 'a:b', path: kept}}}}"),
        question=job("run: mkdir kept; touch 'kept/why?'", f"{{uses: {UPLOAD}, with: {{name: kept, path: kept}}}}"),
    )
    colon, question = project.push()
    assert "The artifact name is not valid: a:b." in colon.expect("failure").log
    assert "The path for one of the files in artifact is not valid" in question.expect("failure").log


def test_caches_are_scoped_to_a_ref_and_main(project: Project) -> None:
    cached = job(
        f"{{uses: {CACHE}, id: cache, with: {{path: kept, key: 'k-${{{{ github.sha }}}}', restore-keys: k-}}}}",
        "run: cat kept/who || true; echo hit=${{ steps.cache.outputs.cache-hit }}.",
        "run: mkdir -p kept && echo from-$GITHUB_REF_NAME > kept/who",
        on="[push, pull_request]",
    )
    project.commit(cached=cached)
    (first,) = project.push()
    assert "hit=." in first.expect("success").log
    pull = project.open_pull()
    (second,) = pull.runs
    assert "from-main" in second.expect("success").log and "hit=false." in second.log
    (again,) = project.repo.rerun(second)
    assert f"from-{pull.number}/merge" in again.expect("success").log and "hit=true." in again.log
    project.git("checkout", "--quiet", "main")
    project.commit(main__txt="x")
    (third,) = project.push()
    assert "from-main" in third.expect("success").log, "main never reads what a pull request saved"


def test_a_run_has_uv_gh_and_attestations(project: Project) -> None:
    project.commit(
        tools=job(
            "run: '! command -v uv'",
            f"{{uses: {UV}, with: {{version: latest-known}}}}",
            "run: uv --version && gh --version && python3 --version && echo x > model.zip",
            f"{{uses: {ATTEST}, with: {{subject-path: model.zip}}}}",
            permissions="{attestations: write, id-token: write}",
        ),
        refused=job("run: echo x > f", f"{{uses: {ATTEST}, with: {{subject-path: f}}}}"),
        unverified=job(f"uses: {UV}"),
    )
    refused, tools, unverified = project.push()
    tools.expect("success"), refused.expect("failure")
    assert "version '' of uv would be fetched unverified" in unverified.expect("failure").log
    assert list(project.repo.attestations) == ["model.zip"]


@pytest.mark.parametrize(
    ("step", "said"),
    [("uses: some/thing@v1", "no stand-in"), (f"{{uses: {CHECKOUT}, with: {{fetch-dept: 1}}}}", "fetch-dept")],
)
def test_what_has_no_stand_in_is_said_plainly(hub: LocalGitHub, tmp_path: Path, step: str, said: str) -> None:
    project = Project(hub, f"acme/{said.replace(' ', '-')}", tmp_path, private=False)
    project.commit(bad=job(step))
    with pytest.raises(LookupError, match=said):
        project.push()


@pytest.mark.parametrize(
    ("triggers", "event", "starts"),
    [
        ("push", {"ref": "refs/heads/main"}, True),
        ("{push: {branches: [main]}}", {"ref": "refs/heads/topic"}, False),
        ("{push: {branches: [main]}}", {"ref": "refs/tags/v1"}, False),
        ("{push: {tags: ['model@v*']}}", {"ref": "refs/tags/model@v1.0.0"}, True),
        ("{push: {branches-ignore: ['wip/**']}}", {"ref": "refs/heads/wip/a/b"}, False),
        ("{push: {paths: ['src/**']}}", {"ref": "refs/heads/main", "changed": ["docs/a.md"]}, False),
        ("{push: {paths-ignore: ['**.md']}}", {"ref": "refs/heads/main", "changed": ["docs/a.md"]}, False),
        ("{push: {paths-ignore: ['**.md']}}", {"ref": "refs/heads/main", "changed": ["docs/a.md", "a.py"]}, True),
        ("pull_request", {"name": "pull_request", "payload": {"action": "closed"}}, False),
        ("{pull_request: {types: [closed]}}", {"name": "pull_request", "payload": {"action": "closed"}}, True),
        ("{pull_request: {branches: [dev]}}", {"name": "pull_request", "payload": {"action": "opened"}}, False),
        ("{schedule: [{cron: '0 5 * * 1'}]}", {"name": "schedule", "payload": {"schedule": "0 5 * * 1"}}, True),
        ("{schedule: [{cron: '0 5 * * 1'}]}", {"name": "schedule", "payload": {"schedule": "1 1 1 1 1"}}, False),
    ],
)
def test_an_event_starts_what_listens_to_it(triggers: str, event: dict, starts: bool) -> None:  # type: ignore[type-arg]
    fields = {"name": "push", "payload": {}, "ref": "refs/heads/main", "changed": ["a.py"]} | event
    happened = Event(**fields, sha="", actor="acme", head_sha="", head_branch="", head=None)  # type: ignore[arg-type]
    assert Workflow("x.yml", read_yaml(f"on: {triggers}")).starts_on(happened) is starts


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("publish", "publish"),
        ("${{ github.workflow }}-${{ github.event.number || github.ref }}", "retrain-7"),
        ("${{ github.head_ref || github.run_id }}", 9),
        ("${{ github.event_name == 'pull_request' }}", True),
        ("${{ !(github.ref == 'refs/heads/main') && github.workflow }}", False),
    ],
)
def test_expressions_of_concurrency_are_evaluated(text: str, value: object) -> None:
    context = {"workflow": "retrain", "event": {"number": 7}, "ref": "refs/heads/main", "run_id": 9}
    assert fill(text, {**context, "event_name": "pull_request"}) == value


def test_an_expression_that_is_not_understood_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot evaluate"):
        fill("${{ hashFiles('uv.lock') }}", {})


def test_tokens_are_read_from_every_form_of_header() -> None:
    assert read_token("Basic eDp5") == "y" and read_token("token y") == read_token("Bearer y") == "y"
    assert read_token(None) is None


def test_everything_is_stopped_also_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), start_github(tmp_path / "github") as hub:
        raise ZeroDivisionError
    assert hub.emulate.process.returncode is not None
    assert not hub.front.thread.is_alive()
