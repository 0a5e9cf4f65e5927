"""The rivals: champion and candidate, and what both predict for the rows on which neither was trained."""

import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from ..bundle.archive import Bundle, load_bundle
from ..bundle.features import make_features
from ..core.config import PARAMS, Config, Data
from ..core.engine import Engine, engine_of, engine_with_its_libraries
from ..core.errors import UserError
from ..core.git import check_out
from ..core.owner import LOCKFILE
from ..core.paths import BUNDLE, HISTORY, TEST_ROWS
from ..data.history_table import join_history
from ..data.table import read_typed
from ..registry.outputs import fetch_outputs, output_file, place_output
from ..stats.metrics import Predictions
from .champion import ROWS, Champion, Incomparable, Unrunnable, run_theirs
from .changes import content_of
from .report import ComparedRows, Note, Shift
from .rows import RowChanges, compare_rows
from .shift import find_shifts


@dataclass(frozen=True)
class Rivals:
    """The rows that decide, as the candidate's data has them, and each model's predictions for them.

    `champion` is None where there is none, or where it could not be run: `incomparable` then says why.
    """

    bundle: Bundle
    table: pd.DataFrame
    features: pd.DataFrame
    candidate: Predictions
    champion: Predictions | None
    rows: ComparedRows
    shifts: list[Shift]
    notes: list[Note]
    incomparable: str | None = None

    def take(self, positions: np.ndarray) -> "Rivals":
        """Return the same for some of the rows; the champion's predictions are taken along."""
        return replace(
            self,
            table=self.table.iloc[positions],
            features=self.features.iloc[positions],
            candidate=self.candidate.take(positions),
            champion=self.champion and self.champion.take(positions),
        )


def meet(config: Config, champion: Champion | None) -> Rivals:
    """Return both models' predictions for the working tree's test rows.

    Raises:
        UserError: an object is in no store.
    """
    changed = champion is not None and champion.moved
    fetch_outputs(*((path, None) for path in {BUNDLE, TEST_ROWS, *(ROWS if changed else ())}))
    if champion:
        champion.fetch()
    if config.history.entity and not config.path(HISTORY).exists():
        place_output(HISTORY, None, config.root)
    file = output_file(TEST_ROWS)
    with ThreadPoolExecutor(1) as beside:  # the champion runs in a process of its own: both predict at once
        asked = beside.submit(ask, champion, None, config.data) if champion else None
        table = read_typed(file)
        bundle = load_bundle(output_file(BUNDLE))
        features = make_features(join_history(table, config), config)
        everything = ComparedRows(test=len(table), decided=len(table), new=0, gone=0, edited=0, trained=0)
        rivals = Rivals(bundle, table, features, bundle.predict(features), None, everything, [], [])
        if champion is None or asked is None:
            return rivals
        changes = _compare_rows(config, champion, table) if changed else None
        if changes:
            rivals = replace(rivals, rows=changes.rows, shifts=_shifts(config, champion))
        try:
            met = replace(rivals, champion=asked.result())
        except Incomparable as reason:
            return _on_shared_rows(config, champion, rivals, changes, str(reason))
        return _where_it_decides(met, rivals, np.flatnonzero(changes.decides)) if changes else met


def _where_it_decides(met: Rivals, alone: Rivals, positions: np.ndarray) -> Rivals:
    """Return both models on the rows that neither was trained on; the candidate alone where there is none."""
    if not len(positions):
        return replace(alone, incomparable="it was trained on every one of these test rows")
    return replace(met.take(positions), rows=replace(met.rows, decided=len(positions)))


def _on_shared_rows(
    config: Config, champion: Champion, alone: Rivals, changes: RowChanges | None, reason: str
) -> Rivals:
    """Return both models on the rows that both test sets hold, each given its own copy, where columns differ."""
    ours, theirs = changes.pairs if changes else (np.array([], int), np.array([], int))
    if not len(ours):
        return replace(alone, incomparable=reason)
    try:
        answer = ask(champion, champion.commit, config.data)
    except Incomparable:
        return replace(alone, incomparable=reason)
    met = replace(alone.take(ours), champion=answer.take(theirs))
    return replace(met, rows=replace(met.rows, decided=len(ours)), notes=[Note("own_rows", [reason])])


def _compare_rows(config: Config, champion: Champion, table: pd.DataFrame) -> RowChanges:
    test, train = (read_typed(output_file(path, champion.commit)) for path in ROWS)
    return compare_rows(table, test, train, config.split.key, config.data.target)


def _shifts(config: Config, champion: Champion) -> list[Shift]:
    before, now = (
        pd.concat([read_typed(output_file(path, commit)) for path in ROWS], ignore_index=True)
        for commit in (champion.commit, None)
    )
    return find_shifts(before, now, config.data.target)


def ask(champion: Champion, rev: str | None, data: Data) -> Predictions:
    """Return the champion's predictions for the test rows at `rev` (None: the working tree), one a row, in order.

    Its model runs under its own engine, code, params and schema, checked out beside this tree: what a column becomes
    may have changed since. Columns that its schema does not know are ignored. Its history table is brought up to these
    rows first: in production it would know of them, too. What fails under the libraries of this tree is run under those
    of its own uv.lock.

    Raises:
        Incomparable: it predicts something else than `data` says, it does not accept these rows, or it does not run.
    """
    params = content_of(PARAMS, champion.commit)
    theirs, history = params.get("data", {}), params.get("history", {})
    if (theirs.get("target"), theirs.get("task")) != (data.target, data.task):
        raise Incomparable(f"it does {theirs.get('task')} of {theirs.get('target')}, not {data.task} of {data.target}")
    bundle = output_file(BUNDLE, champion.commit).resolve()
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        check_out(champion.commit, home)
        commands: list[tuple[str, ...]] = [("predict", "rows.parquet", "--bundle", str(bundle), "--types-only")]
        if history.get("entity"):
            place_output(HISTORY, champion.commit, home)
            for path in (*ROWS, *filter(None, [history.get("events")])):
                (home / path).parent.mkdir(parents=True, exist_ok=True)
                (home / path).symlink_to(output_file(path, rev).resolve())
            commands.insert(0, ("stage", "history"))
        (home / "rows.parquet").symlink_to(output_file(TEST_ROWS, rev).resolve())
        _run_all(home, commands)
        return read_predictions(pd.read_parquet(home / "predictions.parquet"))


def _run_all(home: Path, commands: list[tuple[str, ...]]) -> None:
    """Run verbs on a checkout, by its own engine: under today's libraries, else under those of its own uv.lock.

    Raises:
        Incomparable: the rows are refused.
        Unrunnable: both fail; the text has both reasons.
    """
    reasons: list[str] = []
    tried: list[Engine] = []
    for find_engine in (engine_of, engine_with_its_libraries):
        try:
            engine = find_engine(home)
            if engine not in tried:  # one from an index has its own libraries at once
                tried.append(engine)
                for words in commands:
                    run_theirs(engine, home, *words)
                return
        except (UserError, Unrunnable) as reason:
            reasons.append(str(reason).rstrip("."))
    today, *then = dict.fromkeys(reasons)
    if not then:
        raise Unrunnable(f"it fails, whichever libraries it has ({today})")
    raise Unrunnable(
        f"it fails under this tree's libraries ({today}) and under those of its own {LOCKFILE} ({then[0]})"
    )


def read_predictions(frame: pd.DataFrame) -> Predictions:
    """Return predictions from the columns that `mlops predict` writes."""
    probabilities = frame.drop(columns="prediction")
    if probabilities.empty:
        return Predictions(frame["prediction"].to_numpy())
    classes = [str(name).removeprefix("probability_") for name in probabilities]
    return Predictions(probabilities.to_numpy(), classes, pd.Index(classes).get_indexer(pd.Index(frame["prediction"])))
