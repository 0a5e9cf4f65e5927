"""Refuses an answer that cannot work, in one sentence; keeps the checked dataset for the next hook."""

import bz2
import codecs
import contextlib
import csv
import difflib
import glob
import gzip
import io
import itertools
import json
import keyword
import lzma
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unicodedata
import zipfile
import zlib
from pathlib import Path
from typing import IO, NoReturn
from urllib.parse import urlsplit

ANSWERS = json.loads(r"""{{ cookiecutter | tojson }}""")

# Import names that a project needs; its distribution name is compared with uv.lock after rendering.
DEPENDENCIES = re.compile(
    "dvc|git|google|gto|joblib|mypy|numpy|onnx|onnxruntime|pandas|pandera|pre_commit|pyarrow|pydantic|pytest|ruamel|"
    "ruff|scipy|skl2onnx|sklearn|skops|test|tests|yaml"
)
EXAMPLE_CLASSES = {"state", "area_code", "international_plan", "voice_mail_plan", "churn"}
EXAMPLE_NUMBERS = {"account_length", "number_vmail_messages", "number_customer_service_calls"} | {
    f"total_{when}_{what}" for when in ("day", "eve", "night", "intl") for what in ("minutes", "calls", "charge")
}
MISSING = {"", "na", "n/a", "nan", "null", "<na>"}
SAMPLE_ROWS = 10_000

KINDS = {
    "text": (".csv", ".tsv", ".txt"),
    "lines": (".jsonl", ".ndjson"),
    "parquet": (".parquet",),
    "workbook": (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods"),
}
OPEN = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open, ".zst": open}
ENCODINGS = {
    b"\xef\xbb\xbf": "utf-8",
    b"\xff\xfe\x00\x00": "utf-32",
    b"\x00\x00\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
NO_TEXT = {
    b"PK\x03\x04": "a workbook or an archive",
    b"\xd0\xcf\x11\xe0": "an .xls workbook",
    b"PAR1": "a .parquet file",
    b"\x1f\x8b": "compressed (.gz)",
    b"SQLite ": "a database, which a .sql file with a query may name",
}
SECRET = re.compile(r"(^|&)([\w-]*(token|signature|password|secret)|sig|(api_?)?key|X-Amz-Credential)=", re.IGNORECASE)


def refuse(message: str) -> NoReturn:
    """End the generation with a sentence."""
    sys.exit(f"\n{message}")


def check_text(name: str) -> None:
    """Refuse what no quoting can carry: control characters, and template syntax that an update would run."""
    text = ANSWERS[name]
    if not text.strip():
        refuse(f"{name} is empty: give it a word.")
    if any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in text):
        refuse(f"{name} must be one line of text, without line breaks or control characters.")
    if re.search(r"[{][%#{]", text):
        refuse(f"{name} must not contain template syntax (a brace followed by '%', '#' or another one).")


def check_names() -> None:
    """Refuse names that GitHub, Python or an index would not take."""
    slug, package, owner = ANSWERS["project_slug"], ANSWERS["package_name"], ANSWERS["github_owner"]
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", slug) or len(slug) > 100:
        refuse(
            f"project_slug {slug!r} is no repository name: use 1 to 100 letters, digits, '-', '_' or '.', "
            "with a letter or digit at both ends."
        )
    if slug.lower().endswith((".git", ".wiki")):
        refuse(f"project_slug {slug!r} ends in a suffix that GitHub keeps for itself: choose another name.")
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", package) or keyword.iskeyword(package):
        refuse(
            f"package_name {package!r} is no Python name: begin with a letter, continue with letters, digits "
            "and '_', and avoid Python's keywords."
        )
    if package.lower() in sys.stdlib_module_names or DEPENDENCIES.fullmatch(package.lower()):
        refuse(
            f"package_name {package!r} would hide a module of that name that the project needs: "
            f"choose another, such as '{package}_model'."
        )
    if not re.fullmatch(r"[A-Za-z0-9](-?[A-Za-z0-9])*(_[A-Za-z0-9]+)?", owner) or len(owner) > 39:
        refuse(
            f"github_owner {owner!r} is no GitHub login: use up to 39 letters and digits, with single '-' between them."
        )
    image = re.fullmatch(r"[A-Za-z0-9]+((\.|__?|-+)[A-Za-z0-9]+)*", slug)
    if ANSWERS["container_registry"] != "none" and not image:
        refuse(
            f"project_slug {slug!r} is no name of a container image: put single '.', '_' or '-' between letters and "
            "digits, or answer container_registry with none."
        )


def check_place() -> None:
    """Refuse a place in another repository's work tree that it does not ignore: each would see the other's files."""
    if shutil.which("git") is None:
        return  # the next hook says so
    told = {name: value for name, value in os.environ.items() if name not in ("GIT_DIR", "GIT_WORK_TREE")}
    asked = subprocess.run(["git", "rev-parse", "--show-toplevel"], capture_output=True, env=told)
    top = Path(os.fsdecode(asked.stdout.rstrip(b"\n")))
    if asked.returncode or top.samefile("."):
        return
    if subprocess.run(["git", "check-ignore", "--quiet", "--", Path.cwd()], capture_output=True, env=told).returncode:
        refuse(
            f"a project is a git repository of its own, and {Path.cwd()} would lie in another one, {top}: "
            "generate it elsewhere (--output-dir), or in a folder that its .gitignore names."
        )


def is_comparison() -> bool:
    """Say whether cruft renders a copy to compare with, and throws it away: there may be no dataset by now.

    Where `cruft create` writes a project looks different: cruft never says which of the two it is doing.
    """
    return (
        "_output_dir" not in ANSWERS
        and Path.cwd().parent.parent.resolve() == Path(tempfile.gettempdir()).resolve()
        and re.fullmatch(r"tmp[a-z0-9_]{8}", Path.cwd().parent.name) is not None
    )


def find_files(answer: str) -> tuple[list[Path], bool]:
    """Return the files that a path, folder or pattern names, from where it was typed or the output directory.

    The second says whether it is the path of one file.
    """
    for folder in (os.environ.get("PWD", ""), ".."):
        path = Path(folder, Path(answer).expanduser())
        if path.is_file():
            return [path], True
        if path.is_dir():
            found = [file for file in path.iterdir() if file.name[0] not in "._" and file.suffix != ".crc"]
        else:
            found = [Path(file) for file in glob.glob(str(path), recursive=True)]
        if found:
            break
    else:
        refuse(f"dataset {answer!r} is neither a file nor a folder or pattern with files, a URL, or `example`.")
    names = [file.name for file in found]
    for file in found:
        if not file.is_file():
            refuse(f"dataset {answer!r}: {file.name} is a folder in a folder of data: move its files up.")
        if kind_of(file) != kind_of(found[0]):
            refuse(f"dataset {answer!r}: {found[0].name} and {file.name} are of two kinds: name files of one.")
    if len(set(names)) < len(names):
        refuse(f"dataset {answer!r}: two files are named {max(names, key=names.count)}: rename one.")
    return sorted(found, key=lambda file: file.name), False


def kind_of(file: Path) -> str:
    """Return what a file's name says that it is, without its compression."""
    compressed = file.suffix.lower() in OPEN
    suffix = (Path(file.stem) if compressed else file).suffix.lower()
    kind = next((kind for kind, suffixes in KINDS.items() if suffix in suffixes), None)
    if kind is None or (compressed and kind not in ("text", "lines")):
        known = ", ".join(itertools.chain(*KINDS.values()))
        refuse(f"dataset: {file.name} is none of {known}: save it as one of them.")
    if kind == "lines" and file.suffix.lower() in (".bz2", ".xz"):
        refuse(f"dataset: {file.name}: JSON lines are read from .gz and .zst only: compress it as one of them.")
    return kind


def check_file(file: Path) -> list[str]:
    """Refuse a file that no table can be made of, as far as can be seen here; return its columns, if they are seen."""
    if file.stat().st_size == 0:
        refuse(f"dataset: {file.name} is empty: it needs a header and at least one row.")
    kind = kind_of(file)
    with file.open("rb") as stream:
        head = stream.read(8)
    for mark, what in NO_TEXT.items():
        if head.startswith(mark) and kind in ("text", "lines") and file.suffix.lower() not in OPEN:
            refuse(f"{file.name} is not what its name says, but {what}.")
    if file.suffix.lower() == ".zst":
        return []  # which only Python 3.14 can read by itself
    try:
        return {"text": check_text_file, "lines": check_lines, "parquet": check_parquet}.get(kind, check_workbook)(file)
    except (EOFError, lzma.LZMAError, zlib.error, gzip.BadGzipFile):
        refuse(f"{file.name} is damaged, or not compressed as its name says: copy it again.")


def open_file(file: Path) -> IO[bytes]:
    """Open a file for its bytes, decompressed."""
    return OPEN.get(file.suffix.lower(), open)(file, "rb")


def check_columns(columns: list[str], name: str) -> None:
    """Refuse a header in which a column cannot be told from another, or without the target."""
    target = ANSWERS["target"]
    for number, column in enumerate(columns, 1):
        if not column.strip():
            refuse(f"{name}: column {number} has no name: give it one in the first line.")
        if columns.count(column) > 1:
            refuse(f"{name}: {columns.count(column)} columns are named {column!r}: rename all but one.")
    if target not in columns:
        folded = {column.strip().lower(): column for column in columns}
        near = difflib.get_close_matches(target.strip().lower(), folded, n=1)
        shown = ", ".join(columns[:8]) + (", …" if len(columns) > 8 else "")
        advice = f"did you mean {folded[near[0]]!r}?" if near else f"its columns are {shown}."
        refuse(f"{name} has no column {target!r} to predict: {advice}")
    if len(columns) == 1:
        refuse(f"{name} has no column but the target: a model needs others to learn from.")


def check_text_file(file: Path, encoding: str | None = None) -> list[str]:
    """Refuse delimited text that is ragged or no text, as far as its first rows show."""
    with open_file(file) as stream:
        head = stream.read(2**18)
    encoding = encoding or guess_encoding(head)
    text = codecs.getincrementaldecoder(encoding)("replace").decode(head)
    csv.field_size_limit(2**31 - 1)
    delimiter = guess_delimiter(text[: text.rfind("\n") + 1] or text) or ","
    rows = 0
    try:
        with io.TextIOWrapper(open_file(file), encoding.replace("utf-8", "utf-8-sig"), newline="") as stream:
            lines = csv.reader(stream, delimiter=delimiter)
            columns = next(filter(None, lines), [])
            check_columns(columns, file.name)
            for row in itertools.islice(filter(None, lines), SAMPLE_ROWS):
                rows += 1
                place = f"{file.name}, line {lines.line_num}"
                if len(row) != len(columns):
                    refuse(f"{place}: {len(row)} values for {len(columns)} columns: quote the one with {delimiter!r}.")
                check_target(row[columns.index(ANSWERS["target"])], place)
    except UnicodeDecodeError:
        if encoding == "utf-8":
            return check_text_file(file, "latin-1")
        refuse(f"{file.name} begins as {encoding} text and does not go on so: save it as UTF-8.")
    except csv.Error as error:
        refuse(f"{file.name}, line {lines.line_num} is not CSV ({error}): export the file again.")
    if not rows:
        refuse(f"{file.name} has a header and no rows: it needs at least one.")
    return columns


def guess_encoding(head: bytes) -> str:
    """Return the encoding of text that begins so, as `mlops setup` guesses it."""
    for mark, name in ENCODINGS.items():
        if head.startswith(mark):
            return name
    for start, name in ((1, "utf-16-le"), (0, "utf-16-be")):
        if head[start::2].count(0) > 0.3 * len(head):
            return name
    if 0 in head:
        refuse("the dataset is not text, although its name says so: give it the suffix of what it is.")
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8"


def guess_delimiter(text: str) -> str | None:
    """Return the character that cuts most rows into as many cells as the header has, as `mlops setup` guesses it."""
    best: tuple[float, int, str | None] = (0, 0, None)
    for delimiter in "\t|;^~,":
        rows = list(itertools.islice(filter(None, csv.reader(io.StringIO(text), delimiter=delimiter)), 1000))
        width = len(rows[0]) if rows else 0
        if width > 1:
            agreeing = round(sum(len(row) == width for row in rows) / len(rows), 2)
            best = max(best, (agreeing, width, delimiter), key=lambda guess: guess[:2])
    return best[2]


def check_target(value: object, place: str) -> None:
    """Refuse a target that a regression cannot learn."""
    text = "" if value is None else str(value).strip()
    if ANSWERS["task"] != "regression" or text.lower() in MISSING:
        return
    try:
        float(re.sub(r"[.' \xa0\u202f](?=\d{3})", "", text).replace(",", ".") if "," in text else text)
    except ValueError:
        refuse(
            f"{place}: the target {ANSWERS['target']!r} is {value!r}, and regression predicts numbers: "
            "choose another target, or classification."
        )


def check_lines(file: Path) -> list[str]:
    """Refuse JSON lines that are no plain objects, as far as the first show."""
    columns: dict[str, None] = {}
    with open_file(file) as stream:
        for number, line in enumerate(itertools.islice(stream, SAMPLE_ROWS), 1):
            place = f"{file.name}, line {number}"
            try:
                row = json.loads(line.decode("utf-8-sig")) if line.strip() else {}
            except ValueError as error:
                refuse(f"{place} is not JSON in UTF-8 ({error}): write an object a line.")
            if not isinstance(row, dict):
                refuse(f"{place} is no object with a value for each column: write an object a line.")
            nested = [name for name, value in row.items() if isinstance(value, list | dict)]
            if nested:
                refuse(f"{place}: {nested[0]!r} holds a list or a record: spread it over plain columns.")
            columns |= dict.fromkeys(row)
            check_target(row.get(ANSWERS["target"]), place)
    check_columns(list(columns), file.name)
    return list(columns)


def check_workbook(file: Path) -> list[str]:
    """Refuse what is no workbook; `mlops setup` looks into it."""
    with file.open("rb") as stream:
        head = stream.read(8)
    if not head.startswith(b"\xd0\xcf\x11\xe0") if file.suffix.lower() == ".xls" else not zipfile.is_zipfile(file):
        refuse(f"{file.name} is not a workbook, or not a whole one: save it again.")
    return []


def check_parquet(path: Path) -> list[str]:
    """Refuse what is no Parquet file; look at its columns where pyarrow is at hand."""
    with path.open("rb") as stream:
        head = stream.read(4)
        stream.seek(max(path.stat().st_size - 4, 0))
        if (head, stream.read()) != (b"PAR1", b"PAR1"):
            refuse(f"{path.name} is not a Parquet file, or not a whole one: write it again.")
    try:
        from pyarrow import parquet, types
    except ImportError:
        return []
    try:
        file = parquet.ParquetFile(path)
    except Exception as error:
        refuse(f"{path.name} cannot be read as Parquet ({error}): write it again.")
    check_columns(list(file.schema_arrow.names), path.name)
    if not file.metadata.num_rows:
        refuse(f"{path.name} has no rows: it needs at least one.")
    kind = file.schema_arrow.field(ANSWERS["target"]).type
    numeric = (types.is_integer, types.is_floating, types.is_decimal)
    if ANSWERS["task"] == "regression" and not any(fits(kind) for fits in numeric):
        refuse(
            f"{path.name}: the target {ANSWERS['target']!r} is of type {kind}, and regression predicts numbers: "
            "choose another target, or classification."
        )
    return list(file.schema_arrow.names)


def check_url(url: str) -> None:
    """Refuse an address that names no file of a known kind, or that holds what must not be in a repository."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError as error:
        refuse(f"dataset {url!r} is no URL ({error}): correct it.")
    if parts.scheme not in ("http", "https", "s3"):
        refuse(f"dataset {url!r} begins with {parts.scheme}://: use http(s):// or s3://, a path, or a .sql file.")
    if not host or not parts.path.strip("/") or re.search(r"\s", url):
        refuse(f"dataset {url!r} is no URL of a file: it needs a host, or bucket, and a path without spaces.")
    if parts.password or parts.username or SECRET.search(parts.query):
        refuse("dataset: the URL holds a password or token, which git would keep: use ~/.netrc or AWS credentials.")
    kind_of(Path(parts.fragment or parts.path))


def check_query(file: Path) -> str:
    """Refuse a .sql file that names no database, holds a password or that SQLite does not run; return what to keep.

    A relative path of a database begins where the .sql file is, and is made absolute.
    """
    try:
        first, _, query = file.read_text("utf-8-sig").partition("\n")
    except UnicodeDecodeError:
        refuse(f"{file.name} is not UTF-8 text: save it as UTF-8.")
    named = re.fullmatch(r"--\s*([a-z_]+):(.*\S)\s*", first)
    if not named:
        refuse(f"{file.name}: the first line must name the database, such as `-- sqlite:///shop.db`.")
    scheme, place = named.groups()
    if re.search(r"//[^/@\s]*:[^/@\s]+@|\bpass(word|wd)?\s*=", place, re.IGNORECASE):
        refuse(f"{file.name} holds a password, which git would keep: use PGPASSWORD or ~/.pgpass.")
    if not re.sub(r"--.*|/\*[\s\S]*?\*/|[\s;]", "", query):
        refuse(f"{file.name} has no query below its first line: write one.")
    if scheme in ("postgresql", "postgres") and not re.match(r"//", place):
        refuse(f"{file.name}: write the database as `-- postgresql://host/name`.")
    if scheme not in ("sqlite", "duckdb"):
        return f"{first}\n{query}"
    database = (file.parent / Path(place.removeprefix("///")).expanduser()).resolve()
    if not database.is_file():
        refuse(f"{file.name}: there is no database {database}: correct the first line.")
    if scheme == "sqlite":
        run_query(database, query, file.name)
    return f"-- {scheme}:///{database}\n{query}"


def run_query(database: Path, query: str, name: str) -> None:
    """Refuse a query that SQLite does not run, or whose first rows make no table."""
    try:
        import sqlite3
    except ImportError:
        return
    try:
        with contextlib.closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
            cursor = connection.execute(query)
            columns = [column[0] for column in cursor.description or []]
            rows = cursor.fetchmany(SAMPLE_ROWS)
    except (sqlite3.Error, sqlite3.Warning) as error:
        refuse(f"{name}: SQLite says: {error}: correct the query.")
    check_columns(columns, f"{name}'s result")
    if not rows:
        refuse(f"{name} gives no rows: a model needs some to learn from.")
    for number, row in enumerate(rows, 1):
        check_target(row[columns.index(ANSWERS["target"])], f"{name}, row {number}")


def check_example() -> None:
    """Refuse a target that the bundled example lacks, or that does not suit the task."""
    target, classification = ANSWERS["target"], ANSWERS["task"] == "classification"
    check_columns(sorted(EXAMPLE_CLASSES | EXAMPLE_NUMBERS), "the example")
    if ANSWERS["task"] != "guess" and target not in (EXAMPLE_CLASSES if classification else EXAMPLE_NUMBERS):
        kind, other = ("numbers", "regression") if classification else ("classes", "classification")
        advice = "churn" if classification else "number_vmail_messages"
        refuse(
            f"the example's column {target!r} holds {kind}, which is {other}: "
            f"choose that task, or a target such as {advice!r}."
        )


def main() -> None:
    """Check every answer, the dataset last."""
    for name in ("project_name", "description", "author_name", "target", "dataset"):
        check_text(name)
    check_names()
    if is_comparison():
        return
    check_place()
    incoming = Path(".incoming")
    incoming.mkdir(exist_ok=True)
    if ANSWERS["dataset"] == "example":
        check_example()
        return
    try:
        bring(ANSWERS["dataset"], incoming)
    except OSError as error:
        refuse(f"dataset {ANSWERS['dataset']!r} cannot be copied: {error.strerror or error}.")


def bring(answer: str, incoming: Path) -> None:
    """Check the dataset and lay it, or the query for it, where the next hook finds it."""
    if "://" in answer:
        check_url(answer)
        return
    if answer.lower().endswith(".sql"):
        places = [Path(folder, Path(answer).expanduser()) for folder in (os.environ.get("PWD", ""), "..")]
        file = next(filter(Path.is_file, places), None)
        if file is None:
            refuse(f"dataset {answer!r} is not a file: give the path of a query.")
        (incoming / "ingest.sql").write_text(check_query(file), "utf-8")
        return
    files, single = find_files(answer)
    known: list[str] = []
    for file in files:
        columns = check_file(file)
        if known and columns and set(columns) != set(known):
            odd = sorted(set(columns) ^ set(known))[0]
            refuse(
                f"dataset {answer!r}: {files[0].name} and {file.name} differ in the column {odd!r}: make them agree."
            )
        known = known or columns
    target = incoming / Path(ANSWERS["__data_path"]).name
    single = single and target.suffix != ""
    if not single:
        target.mkdir()
    for file in files:
        shutil.copyfile(file, target if single else target / file.name)


if __name__ == "__main__":
    main()
