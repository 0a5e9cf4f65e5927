"""The prediction log: what journals hold becomes Parquet and is read, whatever else lies there or is damaged."""

import os
import resource
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pyarrow as pa
import pytest
from mlops_actions.core.config import PredictionLog
from mlops_actions.core.errors import UserError
from mlops_actions.data.prediction_log import journal
from mlops_actions.data.prediction_log.journal import (
    Journal,
    Prediction,
    Truth,
    read_records,
    require_folder,
    write_records,
)
from mlops_actions.data.prediction_log.log import read_predictions, read_truths, sweep, write_truths
from pyarrow import parquet
from serving import wait_until

NOW = 1_800_000_000.0
HOUR, DAY = 3600, 86_400
encode = msgspec.msgpack.encode


def prediction(id: str, rows: bytes = b'{"a":1}', **changes: Any) -> Prediction:
    """What the champion said of one row, a moment after each other."""
    fields = {"many": False, "numbers": None, "answers": b'{"prediction":"no","id":"x"}', "error": None} | changes
    return Prediction(id, fields.pop("time", NOW), "v1.0.0", "champion", None, 0.5, rows, **fields)


def ids(folder: Path) -> list[str]:
    """The predictions that can be read."""
    return sorted(read_predictions(folder, ["id"], tell=lambda sentence: None)["id"])


def told(folder: Path, read: Callable[..., pd.DataFrame] = read_predictions) -> list[str]:
    """What a reader is told."""
    sentences: list[str] = []
    read(folder, tell=sentences.append)
    return sentences


BAD = {
    "no record": b"garbage",
    "empty map": b"\x80",
    "another kind": encode(["other", 1]),
    "more behind it": encode(prediction("x")) + b"\0",
    "a row beyond the last": encode(prediction("x", b"[1]", many=True, numbers=[1], answers=b"[{}]")),
    "a row before the first": encode(prediction("x", b"[1]", many=True, numbers=[-1], answers=b"[{}]")),
    "fewer answers than rows": encode(prediction("x", b"[1,2]", many=True, answers=b"[{}]")),
    "an answer that is none": encode(prediction("x", answers=b'"no"')),
    "an answer in other letters": encode(prediction("x", answers=b'{"prediction":"\xff"}')),
    "no JSON": encode(prediction("x", b"{")),
    "no UTF-8": encode(prediction("x", b'{"a":"\xff"}')),
    "no list": encode(prediction("x", b'{"0":1}', many=True, numbers=[0], answers=b"[{}]")),
    "too deep": encode(prediction("x", b"[" * 100_000 + b"]" * 100_000)),
    "no time": encode(prediction("x", time=float("nan"))),
    "no time of ours": encode(prediction("x", time=1e300)),
    "a truth of no time": encode(Truth("x", -1.0, "yes")),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_a_record_that_cannot_be_read_is_set_aside_and_stops_nothing(
    bad: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = [encode(one) for one in (prediction("a"), Truth("a-0", NOW, "yes"), prediction("b"), prediction("c"))]
    write_records(tmp_path / "journal-1-a.log", [good[0], bad, *good[1:3]])
    write_records(tmp_path / "journal-2-b.log", [good[3]])
    assert ids(tmp_path) == ["a-0", "b-0", "c-0"]
    assert "journal-1-a.log has records that cannot be read" in told(tmp_path) + told(tmp_path, read_truths)
    sweep(tmp_path)
    assert capsys.readouterr().out == ("log: 1 record of journal-1-a.log cannot be read: set aside in aside-1-a.log\n")
    assert ids(tmp_path) == ["a-0", "b-0", "c-0"] and len(read_truths(tmp_path, print)) == 1
    assert not [*tmp_path.glob("journal-*")] and read_records(tmp_path / "aside-1-a.log") == ([bad], True)
    assert told(tmp_path) == ["1 record that could not be read: set aside in aside-1-a.log"]


def test_what_a_client_sends_is_never_taken_for_what_the_server_says(tmp_path: Path) -> None:
    forged = b'{"predictions":[{"prediction":"yes"},{"a":2}]}'
    listed = b" [%b,[1,2],{}]" % forged
    answers = b'{"predictions":[{"prediction":"no"},{"error":"a list"},{"prediction":"yes"}]}'
    records = [prediction("a", forged), prediction("b", listed, many=True, answers=answers)]
    write_records(tmp_path / "journal-1-a.log", [encode(record) for record in records])
    rows = read_predictions(tmp_path, ["id", "row", "answer"], tell=pytest.fail)
    assert rows.to_numpy().tolist() == [
        ["a-0", forged.decode(), '{"prediction":"no"}'],
        ["b-0", forged.decode(), '{"prediction":"no"}'],
        ["b-2", "{}", '{"prediction":"yes"}'],
    ]


def old_format(*records: bytes) -> bytes:
    return b"".join(len(one).to_bytes(4, "big") + one for one in records)


@pytest.mark.parametrize(
    "content",
    [os.urandom(1000), bytes(1000), old_format(encode(prediction("x"))), b"mlops journal 3\n" + bytes(50)],
    ids=["noise", "zeros", "an earlier version's", "a later version's"],
)
def test_a_file_that_is_no_journal_of_this_version_is_set_aside_whole(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "journal-0-a.log").write_bytes(content)
    write_records(tmp_path / "journal-1-b.log", [encode(prediction("b"))])
    assert ids(tmp_path) == ["b-0"]
    why = "it is no journal that this version can read"
    assert told(tmp_path) == [f"journal-0-a.log is passed over: {why}"]
    sweep(tmp_path)
    assert f"journal-0-a.log is set aside as aside-0-a.log: {why}" in capsys.readouterr().out
    assert (tmp_path / "aside-0-a.log").read_bytes() == content
    assert ids(tmp_path) == ["b-0"] and told(tmp_path) == [f"aside-0-a.log is passed over: {why}"]


def readable(path: Path) -> str:
    """The ids of a journal's records, as far as they can be read."""
    found = []
    for record in read_records(path)[0]:
        with suppress(msgspec.MsgspecError):
            found.append(journal.decode_record(record).id)
    return "".join(found)


def test_a_journal_that_is_cut_anywhere_or_damaged_in_any_byte_keeps_its_other_records(tmp_path: Path) -> None:
    file = tmp_path / "journal-1-a.log"
    written = [encode(prediction(id)) for id in "abcde"]
    write_records(file, written)
    content = file.read_bytes()
    begin = len(journal.FORMAT) + journal.MARK
    each = len(written[0]) + journal.MARK
    for end in range(len(content)):
        file.write_bytes(content[:end])
        whole = max(0, end - begin) // each
        assert readable(file)[:whole] == "abcde"[:whole], end
    for at in range(begin, len(content)):
        file.write_bytes(content[:at] + bytes([content[at] ^ 255]) + content[at + 1 :])
        hit = (at - begin) // each  # in its mark, it and the next one become one
        assert {*"abcde"} - {*"abcde"[hit : hit + 2]} <= {*readable(file)}, at


def test_what_a_sweep_cannot_read_is_kept_to_the_byte(tmp_path: Path) -> None:
    file = tmp_path / "journal-1-a.log"
    write_records(file, [encode(prediction(id)) for id in "abc"])
    content = bytearray(file.read_bytes())
    content[len(journal.FORMAT)] ^= 255  # of the mark, so that no record ends
    file.write_bytes(content)
    sweep(tmp_path)
    [rest], _ = read_records(tmp_path / "aside-1-a.log")
    assert rest == content[len(journal.FORMAT) + journal.MARK :]


def foreign_table(path: Path) -> None:
    parquet.write_table(pa.table({"id": ["a"], "time": [1]}), path)


def other_types(path: Path) -> None:
    names = ["id", "time", "truth", "version", "role", "key", "row", "answer", "error", "latency_ms"]
    parquet.write_table(pa.table({name: [[1]] for name in names}), path)


def cut_table(path: Path) -> None:
    foreign_table(path)
    path.write_bytes(path.read_bytes()[:-20])


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.write_bytes(b"PAR1 garbage PAR1"),
        Path.touch,
        Path.mkdir,
        os.mkfifo,
        foreign_table,
        other_types,
        cut_table,
    ],
    ids=["garbage", "nothing", "a folder", "a pipe", "other columns", "other types", "cut"],
)
@pytest.mark.parametrize(("kind", "read"), [("log", read_predictions), ("feedback", read_truths)])
def test_a_table_that_is_none_of_ours_is_named_and_passed_over(
    kind: str, read: Callable[..., pd.DataFrame], make: Callable[[Path], object], tmp_path: Path
) -> None:
    write_records(tmp_path / "journal-1-a.log", [encode(prediction("a")), encode(Truth("a-0", NOW, "yes"))])
    sweep(tmp_path)
    make(tmp_path / f"{kind}-0.parquet")
    assert len(read(tmp_path, tell=lambda sentence: None)) == 1
    [sentence] = told(tmp_path, read)
    assert sentence.startswith(f"{kind}-0.parquet is passed over: ") and "\n" not in sentence


def test_a_table_with_a_flipped_bit_is_told_or_says_the_same(tmp_path: Path) -> None:
    write_records(tmp_path / "journal-1-a.log", [encode(prediction(id, b'{"a":"\xc3\xa9"}')) for id in "abc"])
    sweep(tmp_path)
    file = tmp_path / "log-1-a.parquet"
    content, expected = file.read_bytes(), read_predictions(tmp_path, tell=pytest.fail)
    footer = int.from_bytes(content[-8:-4], "little")
    sentences: list[str] = []
    for at in range(4, len(content) - footer - 8, 7):
        file.write_bytes(content[:at] + bytes([content[at] ^ 128]) + content[at + 1 :])
        found = read_predictions(tmp_path, tell=sentences.append)
        assert found.empty and sentences.pop() or found.equals(expected), at


def test_a_pipe_of_a_journal_s_name_is_passed_over_and_never_waited_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("journal-0-a.log", "aside-0-a.log"):
        os.mkfifo(tmp_path / name)
    write_records(tmp_path / "journal-1-b.log", [encode(prediction("b"))])
    assert ids(tmp_path) == ["b-0"]
    sweep(tmp_path, 30)
    assert "log: journal-0-a.log is passed over: it is no file\n" in capsys.readouterr().out
    assert ids(tmp_path) == ["b-0"] and not [*tmp_path.glob("journal-1-*")]
    assert told(tmp_path) == [f"{name} is passed over: it is no file" for name in ("journal-0-a.log", "aside-0-a.log")]


def test_a_journal_is_removed_when_the_disk_has_its_parquet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "journal-1-a.log"
    write_records(file, [encode(prediction("a")), encode(Truth("a-0", NOW, "yes"))])
    synced: list[bool] = []
    monkeypatch.setattr("os.fsync", lambda _: synced.append(file.exists()))
    sweep(tmp_path)
    assert synced == [True, True] and not file.exists()


def test_what_a_clock_ahead_of_time_left_is_not_kept_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    names = ("log-1.parquet", "aside-1.log")
    for name in names:
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (now + 3653 * DAY,) * 2)
    sweep(tmp_path, 30)
    assert all(abs((tmp_path / name).stat().st_mtime - now) < DAY for name in names)
    monkeypatch.setattr("time.time", lambda: now + 31 * DAY)
    sweep(tmp_path, 30)
    assert not [*tmp_path.iterdir()]


@pytest.fixture
def prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "FLUSHED", 0.01)


@pytest.mark.usefixtures("prompt")
def test_a_full_disk_loses_whole_records_which_are_counted_and_told_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keeping = Journal(PredictionLog(path=str(tmp_path)))
    keeping.keep(prediction("a"))
    wait_until(lambda: ids(tmp_path) == ["a-0"])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    [file] = tmp_path.iterdir()
    resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size + 10, limits[1]))  # room for a part of a record
    try:
        for number in range(3):
            keeping.keep(prediction("x"))
            wait_until(lambda: keeping.lost == number + 1)  # noqa: B023
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    keeping.keep(prediction("b"))
    wait_until(lambda: "b-0" in ids(tmp_path))
    assert told(tmp_path) == []
    keeping.close()
    assert ids(tmp_path) == ["a-0", "b-0"] and told(tmp_path) == [] and keeping.lost == 3
    assert capsys.readouterr().out == (
        "serve: the prediction log loses records, counted in mlops_log_lost, until it can be written: File too large\n"
        "serve: the prediction log is written again; it lost 3 records\n"
    )


@pytest.mark.usefixtures("prompt")
def test_a_journal_that_somebody_removes_is_counted_and_begun_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "predictions"
    keeping = Journal(PredictionLog(path=str(folder)))
    keeping.keep(prediction("a"))
    wait_until(lambda: folder.exists() and ids(folder) == ["a-0"])
    shutil.rmtree(folder)
    wait_until(lambda: keeping.lost == 1)
    folder.symlink_to("nowhere")
    for lost in (2, 3):
        keeping.keep(prediction("x"))
        wait_until(lambda: keeping.lost == lost)  # noqa: B023
    folder.unlink()
    for id in "bc":
        keeping.keep(prediction(id))
        wait_until(lambda: folder.exists() and f"{id}-0" in ids(folder))  # noqa: B023
    keeping.close()
    assert ids(folder) == ["b-0", "c-0"] and told(folder) == [] and keeping.lost == 3
    said = capsys.readouterr().out
    assert said.count("was removed\n") == said.count("File exists\n") == 1
    assert said.count("it lost 3 records\n") == 1


@pytest.mark.usefixtures("prompt")
def test_records_are_kept_when_nothing_can_be_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "predictions"
    keeping = Journal(PredictionLog(path=str(folder)))
    read, write = os.pipe()
    os.close(read)
    with open(write, "w") as nowhere:
        monkeypatch.setattr("sys.stdout", nowhere)
        for lost, id in enumerate("ab", 1):
            keeping.keep(prediction(id))
            wait_until(lambda: folder.exists() and ids(folder) == [f"{id}-0"])  # noqa: B023
            shutil.rmtree(folder)
            wait_until(lambda: keeping.lost == lost)  # noqa: B023
        keeping.keep(prediction("c"))
        wait_until(lambda: ids(folder) == ["c-0"])
        keeping.close()
        monkeypatch.undo()
        os.dup2(os.open(os.devnull, os.O_WRONLY), write)  # what waits in it goes there
    assert ids(folder) == ["c-0"]


@pytest.mark.parametrize("name", ["file", "file/below", "link", "a\0b", "n" * 300])
def test_a_folder_that_cannot_be_written_is_one_sentence_at_the_start(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("nowhere")
    why = r"(there is something else than a folder|File name too long|embedded null byte): mend that, or name another"
    with pytest.raises(UserError, match=f"^the prediction log cannot be kept in .*, for {why} folder by --log or "):
        require_folder(PredictionLog(path=f"{tmp_path}/{name}"))
    assert {path.name for path in tmp_path.iterdir()} == {"file", "link"}


def test_the_folder_is_made_at_the_start_and_none_where_no_log_is_kept(tmp_path: Path) -> None:
    require_folder(PredictionLog(path=None))
    require_folder(PredictionLog(path=str(tmp_path / "a/b")))
    assert (tmp_path / "a/b").is_dir()


def test_a_reader_who_asks_for_nothing_is_told_on_stderr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "log-0.parquet").touch()
    assert read_predictions(tmp_path).empty
    assert capsys.readouterr().err.startswith("log: log-0.parquet is passed over: ")


def test_old_days_are_deleted_whatever_else_goes_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "journal-0-a.log").mkdir()
    young, old = time.time() - 29 * DAY, time.time() - 31 * DAY
    for name in ("log-{}.parquet", "feedback-{}.parquet", "aside-{}.log"):
        for age, at in (("young", young), ("old", old)):
            (tmp_path / name.format(age)).touch()
            os.utime(tmp_path / name.format(age), (at, at))
    sweep(tmp_path, 30)
    names = {"journal-0-a.log", "log-young.parquet", "feedback-young.parquet", "aside-young.log"}
    assert {path.name for path in tmp_path.iterdir()} == names
    assert capsys.readouterr().out == "log: journal-0-a.log is passed over: it is no file\n"


def test_a_journal_of_which_no_parquet_can_be_written_stays_for_the_next_sweep(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, id in enumerate("ab"):
        write_records(tmp_path / f"journal-{number}-a.log", [encode(prediction(id))])
    (tmp_path / "log-0-a.parquet").mkdir()  # in its place
    sweep(tmp_path)
    assert "journal-0-a.log is passed over: " in capsys.readouterr().out
    assert (tmp_path / "log-1-a.parquet").exists() and ids(tmp_path) == ["a-0", "b-0"]
    (tmp_path / "log-0-a.parquet").rmdir()
    sweep(tmp_path)
    assert ids(tmp_path) == ["a-0", "b-0"] and not [*tmp_path.glob("journal-*")]


def test_a_sweep_that_was_killed_before_its_end_doubles_nothing(tmp_path: Path) -> None:
    file = tmp_path / "journal-1-a.log"
    write_records(file, [encode(prediction("a")), b"garbage", encode(Truth("a-0", NOW, "yes"))])
    content = file.read_bytes()
    for _ in range(2):
        sweep(tmp_path)
        file.write_bytes(content)  # it was not yet removed
    assert ids(tmp_path) == ["a-0"] and len(read_truths(tmp_path, print)) == 1
    sweep(tmp_path)
    assert len([*tmp_path.iterdir()]) == 3


def test_when_the_clock_jumps_or_stands_nothing_is_lost_doubled_or_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jumps = [HOUR, 0, -HOUR, -HOUR]
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now)
    monkeypatch.setattr(journal, "FLUSHED", 0.01)
    (tmp_path / "log-0.parquet").touch()
    os.utime(tmp_path / "log-0.parquet", (now - 29 * DAY,) * 2)
    keeping = Journal(PredictionLog(path=str(tmp_path), days=30))
    for number, jump in enumerate(jumps):
        keeping.keep(prediction(f"{number}", time=now))
        keeping.keep(Truth(f"{number}-0", now, "yes"))
        wait_until(lambda: len(ids(tmp_path)) == number + 1)  # noqa: B023
        now += jump
    assert len([*tmp_path.iterdir()]) == 2, "no ten minutes have passed"
    for number in range(4, 8):
        monkeypatch.setattr(journal, "LARGEST", 0)
        keeping.keep(prediction(f"{number}", time=now))
        wait_until(lambda: len(ids(tmp_path)) == number + 1)  # noqa: B023
        now += jumps[number - 4]
    keeping.close()
    sweep(tmp_path, 30)
    parts = [len(parquet.read_table(path)) for path in tmp_path.glob("log-*-*.parquet")]
    assert ids(tmp_path) == [f"{number}-0" for number in range(8)] and sum(parts) == 8
    assert len(read_truths(tmp_path, lambda sentence: None)) == 4
    assert (tmp_path / "log-0.parquet").exists() and not [*tmp_path.glob("*.log")]


def test_a_journal_that_cannot_be_rotated_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "FLUSHED", 0.01)
    monkeypatch.setattr(journal, "LARGEST", 0)
    folder = tmp_path / "predictions"
    keeping = Journal(PredictionLog(path=str(folder)))
    keeping.keep(prediction("z"))
    wait_until(lambda: folder.exists() and ids(folder) and not keeping._written)
    folder.rename(tmp_path / "moved")
    folder.touch()  # so that none can be begun here
    for id in "abc":
        keeping.keep(prediction(id))
        wait_until(lambda: f"{id}-0" in ids(tmp_path / "moved"))  # noqa: B023
    folder.unlink()
    keeping.keep(prediction("d"))
    wait_until(lambda: ids(folder) or "d-0" in ids(tmp_path / "moved"))
    keeping.keep(prediction("e"))
    keeping.close()
    assert sorted(ids(folder) + ids(tmp_path / "moved")) == [f"{id}-0" for id in "abcdez"] and not keeping.lost


def test_truths_that_contradict_each_other_are_all_kept_and_the_same_one_once(tmp_path: Path) -> None:
    said = [("a-0", "yes"), ("a-0", "no"), ("a-0", "yes"), ("b-0", "no"), ("b-0", "no")]
    truths = [encode(Truth(id, NOW + number, text)) for number, (id, text) in enumerate(said)]
    write_records(tmp_path / "journal-1-a.log", truths)
    for _ in range(2):
        found = read_truths(tmp_path, pytest.fail)
        assert list(found.columns) == ["id", "time", "truth"]
        assert found[["id", "truth"]].to_numpy().tolist() == [["a-0", "yes"], ["a-0", "no"], ["b-0", "no"]]
        sweep(tmp_path)


def test_truths_that_replace_others_count_in_their_place(tmp_path: Path) -> None:
    older = pa.table({"id": ["a-0"], "time": [0], "truth": ["yes"]}).cast(
        pa.schema([("id", pa.string()), ("time", pa.timestamp("us", "UTC")), ("truth", pa.string())])
    )
    parquet.write_table(older, tmp_path / "feedback-0.parquet")
    write_truths(tmp_path, pd.DataFrame({"id": ["a-0", "b-0"], "truth": ["no", "no"]}))
    write_truths(tmp_path, pd.DataFrame({"id": ["a-0"], "truth": ["maybe"]}), replace=True)
    write_truths(tmp_path, pd.DataFrame({"id": ["b-0"], "truth": ["no"]}), replace=True)
    write_truths(tmp_path, pd.DataFrame({"id": ["a-0"], "truth": ["yes"]}))
    found = read_truths(tmp_path, pytest.fail)[["id", "truth"]].to_numpy().tolist()
    assert found == [["a-0", "maybe"], ["b-0", "no"], ["a-0", "yes"]]
