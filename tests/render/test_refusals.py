"""A bad answer is refused in one sentence, and nothing is left behind; what is in the data, setup refuses."""

import importlib.metadata
import re
from pathlib import Path

import pytest
from baked import TEMPLATE, Bake, copy_template, run
from cookiecutter.environment import StrictEnvironment
from cookiecutter.exceptions import FailedHookException
from cookiecutter.generate import generate_context
from cookiecutter.prompt import prompt_for_config
from mlops_actions.data.sources import addresses, queries

LONG = "x" * 101
ANSWERS = [
    ({"project_slug": "-x"}, "project_slug '-x' is no repository name"),
    ({"project_slug": ".x"}, "project_slug '.x' is no repository name"),
    ({"project_slug": "a b"}, "project_slug 'a b' is no repository name"),
    ({"project_slug": "größe", "package_name": "groesse"}, "project_slug 'größe' is no repository name"),
    ({"project_slug": LONG}, "is no repository name"),
    ({"project_slug": "x.git"}, "letter or digit at both ends, no .git or .wiki behind"),
    ({"project_slug": "x.WIKI"}, "project_slug 'x.WIKI' is no repository name"),
    ({"project_slug": "Requests", "package_name": "mine"}, "'requests' is the name of a package"),
    ({"project_slug": "scikit.learn", "package_name": "mine"}, "'scikit-learn' is the name of a package"),
    ({"project_slug": "MLOps.Actions", "package_name": "mine"}, "'mlops-actions' is the name of a package"),
    ({"package_name": "mlops_actions"}, "package_name 'mlops_actions' would hide a module"),
    ({"package_name": "MLOps_Actions"}, "package_name 'MLOps_Actions' would hide a module"),
    ({"package_name": "ruamel"}, "package_name 'ruamel' would hide a module"),
    ({"project_name": "2025"}, "package_name '2025' is no Python name"),
    ({"package_name": "a-b"}, "package_name 'a-b' is no Python name"),
    ({"package_name": "class"}, "package_name 'class' is no Python name"),
    ({"package_name": "test"}, "package_name 'test' would hide a module"),
    ({"package_name": "json"}, "package_name 'json' would hide a module"),
    ({"package_name": "sklearn"}, "package_name 'sklearn' would hide a module"),
    ({"package_name": "dvc"}, "package_name 'dvc' would hide a module"),
    ({"github_owner": "-me"}, "github_owner '-me' is no GitHub login"),
    ({"github_owner": "me/you"}, "github_owner 'me/you' is no GitHub login"),
    ({"github_owner": "x" * 40}, "is no GitHub login"),
    ({"container_registry": "ghcr.io", "project_slug": "a..b"}, "project_slug 'a..b' is no name of a container image"),
    ({"container_registry": "ghcr.io", "project_slug": "a._b"}, "put single '.', '_' or '-' between letters"),
    ({"description": "one\ntwo"}, "description must be one line"),
    ({"author_name": " "}, "author_name must be one line of text"),
    (
        {"description": "{{ '{{' }} x }}"},
        "description must be one line of text, without control characters or template",
    ),
    ({"dataset": "nowhere.csv"}, "dataset 'nowhere.csv' is neither a file nor a folder"),
    ({"dataset": "nowhere/*.csv"}, "dataset 'nowhere/*.csv' is neither a file nor a folder or pattern with files"),
    ({"dataset": "nowhere.sql"}, "dataset 'nowhere.sql' is neither a file nor a folder"),
    ({"dataset": "ftp://example.com/a.csv"}, "is no URL of a file: use http(s):// or s3://"),
    ({"dataset": "postgresql://example.com/shop"}, "dataset 'postgresql://example.com/shop' is no URL of a file"),
    ({"dataset": "https://example.com"}, "is no URL of a file: use http(s):// or s3://, with a path"),
    ({"dataset": "https://example.com/my data.csv"}, "with a path and no spaces"),
    ({"dataset": "https://ada:secret@example.com/a.csv"}, "dataset holds a password or token, which git would keep"),
    ({"dataset": "https://example.com/a.csv?access_token=x"}, "dataset holds a password or token"),
    ({"dataset": "s3://bucket/a.csv?X-Amz-Signature=x"}, "dataset holds a password or token"),
]
SECRETS = [
    b"-- postgresql://ada:secret@host/shop\nSELECT 1\n",
    b"\n-- postgresql://ada:secret@host/shop\nSELECT 1\n",
    b"-- mysql:host=h password=secret\nSELECT 1\n",
    "-- mysql:host=h PASSWD = secret\nSELECT 1\n".encode("utf-16"),
]


def assert_refused(bake: Bake, output: Path, capfd: pytest.CaptureFixture[str], sentence: str, **answers: str) -> None:
    output.mkdir()
    with pytest.raises(FailedHookException):
        bake(output, **answers)
    said = capfd.readouterr().err.strip().splitlines()
    assert sentence in said[0], said
    assert len(said) == 1, said
    assert not list(output.iterdir())


@pytest.mark.parametrize(("answers", "sentence"), ANSWERS)
def test_an_answer_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: dict[str, str], sentence: str
) -> None:
    """The hooks, rendered with the answers as cookiecutter does it, run in this process in the project's folder."""
    context = generate_context(str(TEMPLATE / "cookiecutter.json"), extra_context=answers)
    context = {"cookiecutter": prompt_for_config(context, no_input=True)}
    lock = (TEMPLATE / "{{cookiecutter.project_slug}}/uv.lock").read_text("utf-8")
    distribution = context["cookiecutter"]["__distribution"]
    (tmp_path / "uv.lock").write_text(lock.replace("{{ cookiecutter.__distribution }}", distribution), "utf-8")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as refused:
        for hook in ("pre_gen_project", "post_gen_project"):
            text = (TEMPLATE / f"hooks/{hook}.py").read_text("utf-8")
            text = StrictEnvironment(context=context).from_string(text).render(**context)
            exec(compile(text, hook, "exec"), {"__name__": "__main__"})
    (said,) = str(refused.value.code).strip().splitlines()
    assert sentence in said


@pytest.mark.parametrize(("answers", "sentence"), [ANSWERS[0], ANSWERS[7]], ids=["before", "after"])
def test_what_a_hook_refuses_is_all_that_is_said_and_nothing_is_left(
    bake: Bake, tmp_path: Path, capfd: pytest.CaptureFixture[str], answers: dict[str, str], sentence: str
) -> None:
    assert_refused(bake, tmp_path / "output", capfd, sentence, **answers)


@pytest.mark.parametrize("content", SECRETS)
def test_a_query_with_a_password_is_refused(
    bake: Bake, tmp_path: Path, capfd: pytest.CaptureFixture[str], content: bytes
) -> None:
    (tmp_path / "data.sql").write_bytes(content)
    sentence = "dataset holds a password or token, which git would keep: use ~/.netrc"
    assert_refused(bake, tmp_path / "output", capfd, sentence, dataset=str(tmp_path / "data.sql"))


@pytest.mark.parametrize("answer", ["rows", "rows/", "rows/*.csv"])
def test_a_folder_without_files_is_refused(
    bake: Bake, tmp_path: Path, capfd: pytest.CaptureFixture[str], answer: str
) -> None:
    (tmp_path / "rows").mkdir()
    sentence = (
        f"dataset '{tmp_path}/{answer}' is neither a file nor a folder or pattern with files, a URL, or `example`."
    )
    assert_refused(bake, tmp_path / "output", capfd, sentence, dataset=f"{tmp_path}/{answer}")


def test_what_cannot_be_copied_as_it_is_is_refused(
    bake: Bake, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for folder in ("1", "2"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.csv").write_text("a,price\n1,2\n")
    for number, (answer, sentence) in enumerate(
        {"*/a.csv": "two files are named a.csv; rename one", "?": "is a folder in a folder of data; move its"}.items()
    ):
        assert_refused(bake, tmp_path / f"output{number}", capfd, sentence, dataset=f"{tmp_path}/{answer}")


def test_the_hooks_and_the_engine_refuse_the_same_secrets() -> None:
    hook = (TEMPLATE / "hooks/pre_gen_project.py").read_text("utf-8")
    assert addresses.SECRET in hook and queries.SECRET in hook


def test_every_module_of_a_package_in_the_lock_file_is_known_to_the_hooks() -> None:
    lock = re.findall('^name = "(.+)"$', (TEMPLATE / "{{cookiecutter.project_slug}}/uv.lock").read_text("utf-8"), re.M)
    known = re.findall(r"[\w.]+", (TEMPLATE / "hooks/post_gen_project.py").read_text("utf-8"))
    not_imported = {"adbc_driver_duckdb", "pydevd_plugins"}
    for module, owners in importlib.metadata.packages_distributions().items():
        needed = any(re.sub("[-_.]+", "-", owner).lower() in lock for owner in owners)
        if needed and module not in not_imported and re.fullmatch("[A-Za-z][A-Za-z0-9_]*", module):
            assert module.lower().replace("_", "-") in lock or module.lower() in known, module


def test_a_place_in_another_repository_is_refused(
    bake: Bake, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run("git", "init", "--quiet", cwd=tmp_path)
    sentence = "/output/customer-churn would lie in another one: generate it elsewhere (--output-dir)"
    assert_refused(bake, tmp_path / "output", capfd, sentence)


def test_cruft_refuses_it_too(template: Path, tmp_path: Path) -> None:
    run("git", "init", "--quiet", cwd=tmp_path)
    begun = copy_template(tmp_path / "template")
    run("git", "init", "--quiet", cwd=begun)
    run("git", "add", "--all", cwd=begun)
    run("git", "commit", "--quiet", "--message=Begin", cwd=begun)
    (tmp_path / "here").mkdir()
    done = run("cruft", "create", begun, "--no-input", cwd=tmp_path / "here", check=False, HOME=str(tmp_path / "home"))
    assert done.returncode and "here/customer-churn would lie in another one" in done.stderr
    assert not list((tmp_path / "here").iterdir())


def test_the_command_line_says_it_and_fails(template: Path, tmp_path: Path) -> None:
    command = ("cookiecutter", "--no-input", "--default-config", template, "package_name=json")
    done = run(*command, cwd=tmp_path, check=False, HOME=str(tmp_path / "home"))
    assert done.returncode == 1
    assert "package_name 'json' would hide a module" in done.stderr
    assert not (tmp_path / "customer-churn").exists()


def test_a_machine_without_git_is_told_so(template: Path, tmp_path: Path) -> None:
    command = ("cookiecutter", "--no-input", "--default-config", template)
    where = run("sh", "-c", "command -v cookiecutter", cwd=tmp_path).stdout.strip()
    done = run(where, *command[1:], cwd=tmp_path, check=False, HOME=str(tmp_path / "home"), PATH=str(tmp_path))
    assert done.returncode == 1
    assert "git could not start a repository" in done.stderr
    assert not (tmp_path / "customer-churn").exists()
