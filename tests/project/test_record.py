"""What lies in the working tree is what git's record names, or it is not used: after a switch, an edit, a kill."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from baked import TEMPLATE, Project, environment, run
from records import add_data, train_here
from serving import lives, wait_until
from stores import forge
from verbs import call_verb

DATA = "data/raw/dataset.csv"


@dataclass(frozen=True)
class Team:
    """What a colleague has pushed to `origin`, and the state before it, in which `user()` copies a project."""

    origin: Path
    before: Path
    folder: Path

    def user(self, name: str) -> Project:
        """Return a trained project on main, with the colleague's branch `more`, whose data and results are not here."""
        shutil.copytree(self.before, self.folder / name, symlinks=True)
        project = Project(self.folder / name)
        project.run("git", "fetch", "--quiet", "origin", "more:more")
        return project


@pytest.fixture(scope="module")
def team(released: Project, tmp_path_factory: pytest.TempPathFactory) -> Team:
    folder = tmp_path_factory.mktemp("team")
    team = Team(folder / "origin.git", folder / "before", folder)
    run("git", "init", "--quiet", "--bare", "--initial-branch=main", team.origin, cwd=folder)
    shutil.copytree(released.path, team.before, symlinks=True)
    before = Project(team.before)
    before.run("git", "remote", "add", "origin", f"file://{team.origin}")
    assert call_verb(before.path, "push").code == 0
    before.run("git", "push", "--quiet", "--no-verify", "origin", "main", "model@v1.0.0")
    shutil.copytree(team.before, folder / "colleague", symlinks=True)
    colleague = Project(folder / "colleague")
    colleague.run("git", "switch", "--quiet", "--create", "more")
    (example,) = TEMPLATE.glob("{{*/data/raw/*dataset.csv*")
    with (colleague.path / DATA).open("a") as file:
        file.writelines(example.read_text().splitlines(keepends=True)[401:601])
    add_data(colleague, DATA)
    train_here(colleague)
    colleague.commit("More rows")
    assert call_verb(colleague.path, "push").code == 0
    colleague.run("git", "push", "--quiet", "--no-verify", "origin", "more")
    return team


def digest(path: Path) -> str:
    """The md5 of a file, or of a directory as DVC has it."""
    if path.is_file():
        return hashlib.md5(path.read_bytes()).hexdigest()
    members = sorted((file.relative_to(path).as_posix(), digest(file)) for file in path.rglob("*") if file.is_file())
    listing = json.dumps([{"md5": md5, "relpath": name} for name, md5 in members])
    return hashlib.md5(listing.encode()).hexdigest() + ".dir"


def recorded(project: Project) -> dict[str, str]:
    """The digest of every source and output that git's record names."""
    stages = yaml.safe_load(project.read("dvc.lock"))["stages"]
    outs = {out["path"]: out["md5"] for stage in stages.values() for out in stage["outs"]}
    return outs | {DATA: yaml.safe_load(project.read(f"{DATA}.dvc"))["outs"][0]["md5"]}


def assert_whole(project: Project) -> None:
    """Assert that everything lies here as the record names it, and that git sees no change."""
    for path, md5 in recorded(project).items():
        assert digest(project.path / path) == md5, path
    assert project.run("git", "status", "--porcelain").stdout == ""


def test_a_colleagues_data_and_results_are_placed_before_anything_is_decided(team: Team) -> None:
    project = team.user("trains")
    former = recorded(project)[DATA]
    project.run("git", "switch", "--quiet", "more")
    assert digest(project.path / DATA) == former != recorded(project)[DATA]
    code, said, errors = call_verb(project.path, "train")
    assert (code, said.splitlines()[-1]) == (0, "Nothing to retrain: every stage is up to date."), errors
    assert_whole(project)
    told = next(line for line in said.splitlines() if line.startswith(DATA))
    assert recorded(project)[DATA][:12] in told
    assert digest(project.path / told.split()[-1].rstrip(".")) == former, "the bytes of before can be had again"


def test_a_comparison_is_of_what_the_branch_records(team: Team) -> None:
    project = team.user("compares")
    project.run("git", "switch", "--quiet", "more")
    code, said, errors = call_verb(project.path, "compare")
    assert "v1.0.0" in said and "`400`" in said and "`600`" in said, errors
    assert "Data** unchanged" not in said
    assert_whole(Project(project.path))


def test_results_that_came_alone_take_the_place_of_those_that_lie_here(team: Team) -> None:
    project = team.user("predicts")
    project.run("git", "switch", "--quiet", "more")
    code, _, errors = call_verb(project.path, "predict", DATA)
    assert code == 0 and "models/bundle.zip is now what dvc.lock records" in errors
    assert digest(project.path / "models/bundle.zip") == recorded(project)["models/bundle.zip"]


@pytest.mark.parametrize("verb", ["train", "compare", "tune", "pull"])
def test_an_edit_is_neither_overwritten_nor_taken_silently(team: Team, verb: str) -> None:
    project = team.user(f"edits-{verb}")
    edited = project.read(DATA).replace("yes", "no", 1)
    project.write(DATA, edited)
    code, _, errors = call_verb(project.path, verb)
    assert code == 1 and errors.count("\n") == 1, errors
    assert f"{DATA} was edited" in errors and f"`uv run dvc add {DATA}`" in errors and "checkout --force" in errors
    assert project.read(DATA) == edited
    assert project.run("git", "status", "--porcelain").stdout == ""


def test_training_with_nothing_to_do_still_learns_of_a_new_version(team: Team) -> None:
    project = team.user("learns")
    project.run("git", "tag", "--delete", "model@v1.0.0")
    code, said, _ = call_verb(project.path, "train")
    assert code == 0 and "Nothing to retrain" in said
    assert project.run("git", "tag").stdout == "model@v1.0.0\n"


def test_a_tag_that_is_no_version_is_no_champion(team: Team) -> None:
    project = team.user("light")
    project.run("git", "tag", "--delete", "model@v1.0.0")
    project.run("git", "remote", "remove", "origin")
    project.run("git", "tag", "model@v7.0.0")
    code, said, errors = call_verb(project.path, "compare")
    assert code == 0 and "v7.0.0" not in said, errors


def test_an_edit_is_taken_by_recording_it_or_given_up_by_force_and_stops_no_push(team: Team) -> None:
    project = team.user("edits")
    project.write(DATA, project.read(DATA).replace("yes", "no", 1))
    code, _, errors = call_verb(project.path, "push")
    assert code == 0 and f"{DATA} was edited" in errors and "What is recorded is pushed." in errors
    edited = digest(project.path / DATA)
    code, said, errors = call_verb(project.path, "checkout", "--force")
    assert code == 0, errors
    assert digest(project.path / said.split()[-1].rstrip(".")) == edited, "which can be had again"
    assert_whole(project)
    project.write(DATA, project.read(DATA).replace("yes", "no", 1))
    add_data(project, DATA)
    code, said, errors = call_verb(project.path, "checkout")
    assert (code, errors, said) == (0, "", "")
    project.run("git", "restore", f"{DATA}.dvc")  # undone: the cache has the edit, so that it is no loss
    code, said, errors = call_verb(project.path, "checkout")
    assert code == 0 and "the former one is .dvc/" in said
    assert_whole(project)


def test_a_folder_counts_as_edited_when_a_file_is_added_changed_or_gone(team: Team) -> None:
    project = team.user("folder")
    folder = project.path / "data/raw/events"
    folder.mkdir()
    for month in ("01", "02"):
        (folder / f"{month}.csv").write_text(f"month\n{month}\n")
    add_data(project, folder)
    project.commit("Two months")
    first = digest(folder)
    (folder / "03.csv").write_text("month\n03\n")
    add_data(project, folder)
    project.commit("Three")
    project.run("git", "checkout", "--quiet", "HEAD~1")
    code, said, errors = call_verb(project.path, "checkout")
    assert code == 0 and digest(folder) == first, errors
    for edit, named in (
        (lambda: (folder / "04.csv").write_text("month\n04\n"), "04.csv"),
        (lambda: (folder / "01.csv").write_text("month\n1\n"), "01.csv, 04.csv"),
        (lambda: (folder / "02.csv").unlink(), "01.csv, 02.csv, 04.csv"),
    ):
        edit()
        edited = digest(folder)
        code, _, errors = call_verb(project.path, "train")
        assert code == 1 and f"data/raw/events was edited ({named})" in errors and digest(folder) == edited
    assert call_verb(project.path, "checkout", "--force").code == 0
    assert digest(folder) == first


def test_work_after_a_killed_placement_is_an_edit_and_a_folder_that_it_left_mixed_is_none(team: Team) -> None:
    project = team.user("half")
    folder = project.path / "data/raw/events"
    folder.mkdir()
    for name in "ab":
        (folder / f"{name}.csv").write_text(f"x\n{name}\n")
    add_data(project, folder)
    project.commit("Two files")
    first = digest(folder)
    (folder / "a.csv").write_text("x\nc\n")
    add_data(project, folder)
    (folder / "b.csv").unlink()  # as a kill leaves it: one file of the new state, none of the old
    project.run("git", "restore", "data/raw/events.dvc")
    (md5,) = re.findall(r"md5: (\S+)", project.read("data/raw/events.dvc"))
    placing, left = project.path / ".dvc/tmp/placing", f"{md5} data/raw/events\n{recorded(project)[DATA]} {DATA}\n"
    placing.write_text(left)
    (folder / "mine.csv").write_text("x\nmine\n")
    code, _, errors = call_verb(project.path, "checkout")
    assert code == 1 and "has data/raw/events/mine.csv besides: move that elsewhere" in errors
    (folder / "mine.csv").unlink()
    code, _, errors = call_verb(project.path, "checkout")
    assert code == 0 and digest(folder) == first, errors

    placing.write_text(left)
    work = project.read(DATA) + "new,work\n"
    project.write(DATA, work)
    code, _, errors = call_verb(project.path, "train")
    assert code == 1 and f"{DATA} was edited" in errors and project.read(DATA) == work
    (folder / "b.csv").unlink()
    placing.write_text(left)
    assert call_verb(project.path, "checkout", "--force").code == 0

    placing.write_text(left)  # somebody else ended what was killed
    assert call_verb(project.path, "checkout").code == 0
    (folder / "a.csv").unlink()
    code, _, errors = call_verb(project.path, "checkout")
    assert code == 1 and "data/raw/events was edited (a.csv)" in errors and not (folder / "a.csv").exists()


def test_what_cannot_be_placed_leaves_what_is_there_and_says_so(team: Team) -> None:
    project = team.user("damaged")
    former = digest(project.path / DATA)
    project.run("git", "switch", "--quiet", "more")
    new = recorded(project)[DATA]
    project.run("git", "remote", "remove", "origin")
    damaged = project.path / ".dvc/cache/files/md5" / new[:2] / new[2:]
    damaged.parent.mkdir(exist_ok=True)
    damaged.write_text("damaged")
    damaged.chmod(0o444)  # as every object is, so that DVC believes it
    record = project.read(f"{DATA}.dvc")
    for text, told in (
        (record, f"{new[2:]} was damaged ({DATA}), so it is deleted.\n"),
        (record, "is not in a store"),
        (record.replace(new, "../../../etc/passwd"), f"{DATA}.dvc names no digest"),
        (record.replace(new, "null"), f"{DATA}.dvc names no digest"),
        (f"wdir: ../../..\n{record}", "which is not in this project: name a place in it."),
        ("", f"{DATA}.dvc is empty"),
        ("outs: []\n", f"{DATA}.dvc names no data: `git restore"),
        ("outs: [1,2]\n", f"{DATA}.dvc holds what DVC does not know: `git restore {DATA}.dvc`"),
    ):
        project.write(f"{DATA}.dvc", text)
        code, _, errors = call_verb(project.path, "train")
        assert code == 1 and told in errors and "Traceback" not in errors, errors
        assert digest(project.path / DATA) == former


def test_nothing_is_placed_through_a_link_that_a_branch_brings_and_through_an_owners_own_it_is(team: Team) -> None:
    project, elsewhere = team.user("led-away"), team.folder / "away"
    elsewhere.mkdir()
    record = project.read(f"{DATA}.dvc").replace("path: dataset.csv", "path: link/rows.csv")
    project.write("evil.dvc", record)
    (project.path / "link").symlink_to(elsewhere)
    project.commit("A link")
    for verb in ("checkout", "train", "pull"):
        code, _, errors = call_verb(project.path, verb)
        assert code == 1 and "evil.dvc names link/rows.csv, and link is a link that was committed" in errors, errors
    assert not [*elsewhere.iterdir()]
    project.run("git", "rm", "--quiet", "--cached", "link")
    assert call_verb(project.path, "checkout").code == 0
    assert digest(elsewhere / "rows.csv") == recorded(project)[DATA]


def test_an_object_that_is_damaged_here_is_fetched_again(team: Team) -> None:
    project = team.user("mends")
    paths = (DATA, "models/bundle.zip")
    for path in paths:
        object_name = recorded(project)[path]
        objects = [*project.path.glob(f".dvc/*/files/md5/{object_name[:2]}/{object_name[2:]}")]
        for kept in objects:
            kept.chmod(0o644)
            kept.write_bytes(kept.read_bytes()[:-1] + b"?")
            kept.chmod(0o444)
        assert objects
        (project.path / path).unlink()
    code, _, errors = call_verb(project.path, "checkout")
    assert code == 0, errors
    for path in paths:
        assert f"was damaged ({path}), so it is deleted." in errors
    assert_whole(project)


def test_a_record_or_parameters_that_cannot_be_read_are_named_before_anything_is_done(team: Team) -> None:
    project = team.user("unread")
    lock, params = project.read("dvc.lock"), project.read("params.yaml")
    marks = f"<<<<<<< HEAD\n{params}=======\n{params}>>>>>>> more\n"
    for path, text, told in (
        ("dvc.lock", lock[: len(lock) // 2].rstrip("\n"), "dvc.lock ends within a line: `git restore dvc.lock`"),
        ("dvc.lock", marks, "dvc.lock"),
        ("params.yaml", marks, "params.yaml: a merge left its marks in line 1"),
    ):
        former = project.read(path)
        project.write(path, text)
        for verb in ("train", "checkout", "push"):
            code, _, errors = call_verb(project.path, verb)
            assert code == 1 and told in errors and errors.count("\n") == 1, (verb, errors)
        project.write(path, former)
    project.write("params.yaml", f"{params}\nfoo: 1\n")
    code, _, errors = call_verb(project.path, "train")
    assert code == 1 and "foo is not a known key" in errors
    project.write("params.yaml", params)
    assert_whole(project)


def test_a_comparison_with_a_stale_model_says_what_changed(team: Team) -> None:
    project = team.user("stale")
    features = "src/customer_churn/features.py"
    project.write(features, f"{project.read(features)}\n# Another line.\n")
    project.set(**{"model.seed": 7})
    code, _, errors = call_verb(project.path, "compare")
    assert code == 1 and f"{features} changed since featurize, export ran" in errors, errors
    assert "model.seed in params.yaml changed since " in errors and errors.endswith(": run `mlops train` first.\n")


def test_data_that_is_gone_comes_back_where_its_bytes_are_on_this_machine(team: Team) -> None:
    project = team.user("gone")
    (project.path / DATA).unlink()
    (project.path / DATA).symlink_to("/nowhere/at/all")
    code, _, errors = call_verb(project.path, "train")
    assert code == 0, errors
    assert_whole(project)


def test_data_that_two_branches_changed_is_chosen_by_a_person(team: Team) -> None:
    project = team.user("conflict")
    project.write(DATA, project.read(DATA).replace("yes", "no", 1))
    add_data(project, DATA)
    project.commit("Correct a row")
    assert project.run("git", "merge", "--quiet", "more", check=False).returncode
    code, _, errors = call_verb(project.path, "train")
    assert code == 1 and f"{DATA}.dvc is in conflict" in errors and f"git checkout --theirs {DATA}.dvc" in errors


def test_results_that_were_changed_or_are_gone_are_brought_back(team: Team) -> None:
    """Those that are DVC's, and those that git keeps."""
    project = team.user("all")
    for path in ("data/prepared/test.parquet", "metrics.json"):
        project.write(path, "damaged\n")
    for path in ("models/bundle.zip", "data/summary.json"):
        (project.path / path).unlink()
    code, said, errors = call_verb(project.path, "train")
    assert (code, said.splitlines()[-1]) == (0, "Nothing to retrain: every stage is up to date."), errors
    assert_whole(project)


def test_results_that_are_in_no_store_or_commit_are_made_again_where_others_lie(
    team: Team, capfd: pytest.CaptureFixture[str]
) -> None:
    project = team.user("lost")
    project.run("git", "remote", "set-url", "origin", str(team.folder / "nowhere.git"))
    project.run("git", "tag", "--delete", "model@v1.0.0")
    whole = recorded(project)
    (project.path / "metrics.json").unlink()
    project.commit("Lose the metrics")
    for path in ("data/prepared/test.parquet", "data/features/test.parquet"):
        project.write(path, "another branch's\n")
        for home in ("cache", "store"):
            md5 = whole[path]
            (project.path / f".dvc/{home}/files/md5" / md5[:2] / md5[2:]).unlink(missing_ok=True)
    assert "run `mlops train`, which makes it again" in call_verb(project.path, "compare").err
    code, said, errors = call_verb(project.path, "train")
    told = "What dvc.lock records of prepare, featurize, evaluate is nowhere, so it is made again."
    assert code == 0 and told in said, errors
    assert re.findall("Running stage '(.*)'", capfd.readouterr().out) == ["prepare", "featurize", "evaluate"]
    assert recorded(project) == whole
    project.commit("Find the metrics")
    assert_whole(project)


def test_an_input_that_is_gone_is_named_and_not_taken_for_unchanged(team: Team) -> None:
    project = team.user("without")
    for path in ("schema.yaml", "features.sql", "src/customer_churn/features.py", f"{DATA}.dvc"):
        text = project.read(path)
        (project.path / path).unlink()
        for verb in ("train", "compare"):
            code, _, errors = call_verb(project.path, verb)
            assert code == 1 and f"{path} is " in errors and f"`git restore {path}`" in errors, errors
        project.write(path, text)


def test_line_ends_of_another_editor_change_no_stage(team: Team) -> None:
    project = team.user("crlf")
    paths = [project.path / path for path in ("schema.yaml", "features.sql", "src/customer_churn/features.py")]
    contents = [path.read_bytes() for path in paths]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content.replace(b"\n", b"\r\n"))
    code, said, errors = call_verb(project.path, "train")
    assert (code, said.splitlines()[-1]) == (0, "Nothing to retrain: every stage is up to date."), errors
    assert [path.read_bytes() for path in paths] == contents


def test_a_stage_that_fails_leaves_what_git_keeps_and_what_was_made_in_place(team: Team) -> None:
    project = team.user("fails")
    schema = project.read("schema.yaml")
    project.write("schema.yaml", schema.replace("{type: number, ", "{type: number, max: -1, ", 1))
    assert schema != project.read("schema.yaml")
    code, _, errors = call_verb(project.path, "train")
    assert code == 1 and errors.splitlines()[-1].startswith("mlops train: a stage failed")
    project.write("schema.yaml", schema)
    assert_whole(project)
    assert call_verb(project.path, "train").out.splitlines()[-1] == "Nothing to retrain: every stage is up to date."


def test_a_switch_a_merge_and_a_rebase_place_data_by_a_hook_that_is_silent_elsewhere(
    team: Team, project: Project
) -> None:
    user = team.user("hooked")
    (user.path / ".venv").symlink_to(project.path / ".venv")
    (user.path / ".git/info/exclude").write_text(".venv\n")

    def git(*words: str | Path, **more: str) -> str:
        """What git and its hooks say; git shows on its standard error what a hook prints."""
        done = user.run("git", *words, **{"CI": "", **more})
        return done.stdout + done.stderr

    assert call_verb(user.path, "setup").code == 0
    former = digest(user.path / DATA)
    user.write("argparse.py", "raise SystemExit('A module of the branch ran in a hook.')\n")

    assert f"{DATA} is now what git names, " in git("switch", "--quiet", "more")
    (user.path / "argparse.py").unlink()
    assert digest(user.path / DATA) == recorded(user)[DATA] != former
    assert git("commit", "--quiet", "--amend", "--no-verify", "--allow-empty", "--message=Again") == ""
    assert git("switch", "--quiet", "main", CI="true") == "", "in CI what comes next decides"
    assert digest(user.path / DATA) != former
    assert git("checkout", "--quiet", "--", f"{DATA}.dvc"), "a file alone brings its data too"
    assert digest(user.path / DATA) == former

    assert f"{DATA} is now what git names" in git("merge", "--quiet", "--no-verify", "more")
    assert digest(user.path / DATA) == recorded(user)[DATA] != former
    git("reset", "--quiet", "--hard", "model@v1.0.0")
    call_verb(user.path, "checkout")
    user.write("NOTES.md", "Ours.\n")
    user.commit("Note")
    assert f"{DATA} is now what git names" in git("rebase", "--quiet", "more")
    assert digest(user.path / DATA) == recorded(user)[DATA] != former
    assert call_verb(user.path, "checkout").code == 0, "and what was made, wherever it is"
    assert_whole(user)

    edited = user.read(DATA).replace("yes", "no", 1)
    user.write(DATA, edited)
    told = git("switch", "--quiet", "--detach", "model@v1.0.0")
    assert f"{DATA} was edited" in told and user.read(DATA) == edited

    clone = run("git", "clone", "--quiet", "--branch=main", user.path, team.folder / "clone", cwd=team.folder)
    assert clone.stdout + clone.stderr + git("worktree", "add", "--quiet", team.folder / "linked", "more") == ""


KILLED = {  # a stage whose result DVC takes away before it runs, and one whose results git keeps
    "train": signal.SIGKILL,
    "evaluate": signal.SIGINT,
}


def test_training_interrupted_or_killed_in_a_stage_and_a_second_one_beside_it_end_in_the_same_record(
    team: Team, tmp_path: Path
) -> None:
    """What a killed stage leaves of its own files tests/engine/stages/test_memory.py asks."""
    project = team.user("killed")
    lock, metrics = project.read("dvc.lock"), project.read("metrics.json")
    for made in ("plots/data", ".dvc/cache"):
        shutil.rmtree(project.path / made)
    (project.path / "models/pipeline.skops").unlink()
    add_data(project, DATA)
    project.run("git", "tag", "--delete", "model@v1.0.0")
    project.run("git", "remote", "remove", "origin")
    project.write("dvc.lock", lock[: lock.index("  train:\n")] + lock[lock.index("  export:\n") :])
    for stage, number in KILLED.items():
        log = tmp_path / stage
        with log.open("w") as output:
            process = subprocess.Popen(
                ["mlops", "train"],
                cwd=project.path,
                env=environment(),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        while f"Running stage '{stage}'" not in log.read_text():
            assert process.poll() is None, log.read_text()
            time.sleep(0.01)
        if stage == "train":
            code, _, errors = call_verb(project.path, "train")
            assert code == 1 and errors == (
                f"mlops train: `mlops train` (process {process.pid}) runs in this project: wait for its end.\n"
            )
        os.killpg(process.pid, number)
        process.wait()
        wait_until(lambda: not lives(process.pid))  # noqa: B023
        assert project.read("metrics.json") == metrics, f"what git keeps is in place after {stage}"
    assert call_verb(project.path, "train").code == 0
    assert yaml.safe_load(project.read("dvc.lock")) == yaml.safe_load(lock)
    project.write("dvc.lock", lock)  # in which the stages have another order
    assert_whole(project)


def spoil(team: Team, *paths: str) -> Path:
    """Put other bytes under the names of objects of main into a copy of origin's store; return the copy."""
    origin = Path(shutil.copytree(team.origin, team.folder / f"spoilt-{len(paths)}.git"))
    for path in paths:
        md5 = recorded(Project(team.before))[path]
        forge(origin, f"files/md5/{md5[:2]}/{md5[2:]}", b"spoilt")
    return origin


def test_what_is_damaged_in_the_store_is_mended_by_what_each_sentence_says(team: Team) -> None:
    """By whoever has the good bytes, and by whoever can make them again; all else is placed meanwhile."""
    spoilt = ("models/bundle.zip", "data/features/train.parquet")
    origin = spoil(team, *spoilt)
    run("git", "clone", "--quiet", f"file://{origin}", team.folder / "makes", cwd=team.folder)
    maker = Project(team.folder / "makes")
    code, _, errors = call_verb(maker.path, "pull")
    assert code == 1 and "(and 1 more) is damaged in the store on file:" in errors
    assert "run `mlops push --replace` where the good data is. Where nobody has it: `mlops train --lost`" in errors
    for path, md5 in recorded(maker).items():
        assert path in ("recipes.yaml", *spoilt) or digest(maker.path / path) == md5, path
    code, _, errors = call_verb(maker.path, "push", "--replace")
    assert code == 1 and "and not on this machine, so it was not replaced" in errors and "`mlops pull` says" in errors
    code, _, errors = call_verb(maker.path, "train", "--lost")
    assert code == 0, errors
    assert_whole(maker)
    code, _, errors = call_verb(maker.path, "push")
    assert code == 1 and "`mlops push --replace` sends those that are here." in errors

    keeper = team.user("keeps")
    for project in (maker, keeper):
        project.run("git", "remote", "set-url", "origin", f"file://{origin}")
        code, said, _ = call_verb(project.path, "doctor")
        assert code == 1 and "v1.0.0  not whole: models/bundle.zip is damaged in the store\n" in said
        assert "`mlops push --all --replace` sends what is damaged again" in said
        assert "`git switch --detach model@v1.0.0`, `mlops train --lost`" in said
        assert call_verb(project.path, "push", "--all", "--replace").code == 0
        assert call_verb(project.path, "doctor", "--deep").code == 0
        shutil.rmtree(origin)
        spoil(team, *spoilt)


def test_data_that_is_damaged_in_the_store_and_on_no_machine_is_recorded_anew(team: Team) -> None:
    origin = spoil(team, DATA)
    run("git", "clone", "--quiet", f"file://{origin}", team.folder / "lacks", cwd=team.folder)
    project = Project(team.folder / "lacks")
    code, _, errors = call_verb(project.path, "pull")
    assert code == 1 and f"Where nobody has it: put the data at {DATA}, and `uv run dvc add {DATA}` records" in errors
    assert (project.path / "models/bundle.zip").exists()
    assert (call_verb(project.path, "train").code, call_verb(project.path, "train", "--lost").code) == (0, 0)
    (project.path / DATA).write_text((team.folder / "before" / DATA).read_text() + "\n")
    add_data(project, DATA)
    assert call_verb(project.path, "push").code == 0
    assert call_verb(project.path, "pull").code == 0


LEFT_OUT = {"the data": DATA, "the results": "models/bundle.zip"}


@pytest.mark.parametrize("path", LEFT_OUT.values(), ids=LEFT_OUT)
def test_a_record_that_was_merged_without_its_objects_ends_in_words_before_anything_is_published(
    team: Team, path: str, tmp_path: Path
) -> None:
    shutil.copytree(team.origin, tmp_path / "origin.git")
    fork = team.user(f"fork-{Path(path).name}")
    fork.run("git", "remote", "set-url", "origin", f"file://{tmp_path}/origin.git")
    if path == DATA:
        fork.run("git", "switch", "--quiet", "more")
        edited = fork.read(f"{DATA}.dvc").replace(recorded(fork)[DATA], "d" * 32)
        fork.write(f"{DATA}.dvc", edited)
    else:
        fork.write("dvc.lock", fork.read("dvc.lock").replace(recorded(fork)[path], "d" * 32))
    fork.commit("Merge a fork's pull request")
    fork.run("git", "push", "--quiet", "--no-verify", "origin", "HEAD:main")
    run("git", "clone", "--quiet", f"file://{tmp_path}/origin.git", tmp_path / "runner", cwd=tmp_path)
    steps = (("train", "--no-run-cache"), ("compare",))
    answers = [call_verb(tmp_path / "runner", *words) for words in steps]
    stopped = next(answer for answer in answers if answer.code)
    told = f"{path} is not in the store of origin: run `mlops push` where the data is."
    assert stopped.code == 1 and stopped.err.splitlines()[-1].endswith(told)
    assert stopped is answers[0 if path == DATA else 1]
