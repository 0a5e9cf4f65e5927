"""Refuses an answer that cannot work, in one sentence; keeps the checked dataset for the next hook."""

import csv
import difflib
import itertools
import json
import keyword
import os
import re
import shutil
import sys
import tempfile
import unicodedata
from pathlib import Path
from typing import NoReturn

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


def is_comparison() -> bool:
    """Say whether cruft renders a copy to compare with, and throws it away: there may be no dataset by now.

    Where `cruft create` writes a project looks different: cruft never says which of the two it is doing.
    """
    return (
        "_output_dir" not in ANSWERS
        and Path.cwd().parent.parent.resolve() == Path(tempfile.gettempdir()).resolve()
        and re.fullmatch(r"tmp[a-z0-9_]{8}", Path.cwd().parent.name) is not None
    )


def find_dataset(answer: str) -> Path:
    """Return the file that the answer names, from where the user typed it or from the output directory."""
    for folder in (os.environ.get("PWD", ""), ".."):
        path = Path(folder, Path(answer).expanduser())
        if path.is_file():
            break
    else:
        refuse(f"dataset {answer!r} is not a file: give a path to a .csv or .parquet file, or `example`.")
    if path.suffix.lower() not in {".csv", ".parquet"}:
        refuse(f"dataset {answer!r} must be a .csv or .parquet file: export it as one of them.")
    if path.stat().st_size == 0:
        refuse(f"dataset {answer!r} is empty: it needs a header and at least one row.")
    return path


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


def check_csv(path: Path) -> None:
    """Refuse a CSV file that a table cannot be made of, as far as its first rows show."""
    csv.field_size_limit(2**31 - 1)
    rows = 0
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            lines = csv.reader(stream)
            columns = next(lines, [])
            if len(columns) == 1 and re.search(r"[;\t|]", columns[0]):
                refuse(f"{path.name} separates its columns by something else than commas: save it with commas.")
            check_columns(columns, path.name)
            for row in itertools.islice(filter(None, lines), SAMPLE_ROWS):
                rows += 1
                place = f"{path.name}, line {lines.line_num}"
                if len(row) > len(columns):
                    refuse(f"{place}: {len(row)} values for {len(columns)} columns: quote the one with a comma.")
                if ANSWERS["task"] == "regression" and len(row) == len(columns):
                    check_number(row[columns.index(ANSWERS["target"])], place)
    except UnicodeDecodeError:
        refuse(f"{path.name} is not UTF-8 text: save it as UTF-8.")
    except csv.Error as error:
        refuse(f"{path.name}, line {lines.line_num} is not CSV ({error}): export the file again.")
    if not rows:
        refuse(f"{path.name} has a header and no rows: it needs at least one.")


def check_number(value: str, place: str) -> None:
    """Refuse a target that a regression cannot learn."""
    try:
        float("nan" if value.strip().lower() in MISSING else value)
    except ValueError:
        refuse(
            f"{place}: the target {ANSWERS['target']!r} is {value!r}, and regression predicts numbers: "
            "choose another target, or classification."
        )


def check_parquet(path: Path) -> None:
    """Refuse what is no Parquet file; look at its columns where pyarrow is at hand."""
    with path.open("rb") as stream:
        head = stream.read(4)
        stream.seek(max(path.stat().st_size - 4, 0))
        if (head, stream.read()) != (b"PAR1", b"PAR1"):
            refuse(f"{path.name} is not a Parquet file, or not a whole one: write it again.")
    try:
        from pyarrow import parquet, types
    except ImportError:
        return
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
    incoming = Path(".incoming")
    incoming.mkdir(exist_ok=True)
    if ANSWERS["dataset"] == "example":
        check_example()
        return
    try:
        dataset = find_dataset(ANSWERS["dataset"])
        (check_csv if dataset.suffix.lower() == ".csv" else check_parquet)(dataset)
        shutil.copyfile(dataset, incoming / f"dataset{dataset.suffix.lower()}")
    except OSError as error:
        refuse(f"dataset {ANSWERS['dataset']!r} cannot be copied: {error.strerror or error}.")


if __name__ == "__main__":
    main()
