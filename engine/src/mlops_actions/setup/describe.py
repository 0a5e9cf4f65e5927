"""The first look at the data, once: schema.yaml inferred, params.yaml fitted, and every guess said to be one."""

from dataclasses import replace

import numpy as np
import pandas as pd

from ..core.config import PARAMS, Config, Read, Task, load_config
from ..core.errors import UserError
from ..core.params_file import update_params
from ..data.reading.sniff import sniff
from ..data.rules import Column, Target
from ..data.schema import SCHEMA, Schema, load_schema
from ..data.table import read_batches
from ..data.values import as_text, parse_values
from .dvc_plots import write_plots
from .profile.columns import Look, find_dropped, find_group, find_time
from .profile.display import show_profile
from .profile.knobs import TimeOrder, choose_knobs, write_knobs
from .profile.leaks import find_leaks
from .profile.target import MANY_CLASSES, aim_at, check_target, find_column, guess_task
from .profile.writing import Found, read_writing
from .tuning.first import choose_estimator

SAMPLE = 200_000  # rows that are looked at closely; types, missing values and classes are checked on all
SAMPLE_CELLS = 40_000_000  # and values


def ensure_schema(config: Config, choose: bool = False) -> bool:
    """Infer schema.yaml and fit params.yaml unless both were done before; return whether schema.yaml was written.

    With `choose`, the estimator to begin with is looked for as well. The schema is written last: while it is not there,
    what was interrupted is done again.
    """
    there = config.path(SCHEMA).exists()
    if there and not config.guesses:
        return False
    if not there:
        config = learn_reading(config)
    rows, total = sample_rows(config)
    name, source = config.data.target, config.data.path
    _check_columns(config, rows)
    described = {str(column): read_writing(str(column), values) for column, values in rows.items()}
    classes: set[str] = set()
    if total > len(rows):
        source = f"every {-(-total // len(rows))}th row of {source}"
        described, classes = widen(config, described)
    columns = {column: how for column, (how, _) in described.items()}
    if there:
        schema = load_schema(config.path(SCHEMA))
        columns |= {**schema.columns, schema.target.name: schema.target}
    values, _ = _parse(rows[name], columns[name])
    labels = as_text(values)
    task, why = (config.data.task, "") if config.data.task != "guess" else guess_task(columns[name], values)
    check_target(name, columns[name], labels, task)
    if not there:
        schema = _contract(name, columns, sorted(classes | {*labels.dropna()}) if task == "classification" else None)
    typed = schema.apply(rows, source=source)
    labelled = typed[name].notna()
    if not labelled.all():
        described[name][1].append(f"rows without it, {1 - labelled.mean():.2%}, are left out")
        typed = typed[labelled].reset_index(drop=True)
    looks = [_look(column, typed[column], how, described[column][1]) for column, how in columns.items()]
    aim = aim_at(task, why, typed[name])
    looks = [replace(look, hints=aim.hints) if look.name == name else look for look in looks]
    dropped, group, time, looks = judge(config, looks, typed, task)
    knobs = choose_knobs(config, aim, dropped, group, time)
    write_knobs(config.path(PARAMS), knobs)
    seen = f"all {total:,} rows" if total == len(rows) else f"{len(rows):,} of {total:,} rows, evenly spaced"
    show_profile(looks, name, dropped, knobs, seen)
    if choose:
        choose_estimator(load_config(config.root), schema, typed)
    write_plots(config.path("plots"), task)
    if not there:
        notes = {look.name: "guess: " + "; ".join(look.guesses) for look in looks if look.guesses}
        schema.write(config.path(SCHEMA), notes)
    return not there


def check_dataset(config: Config) -> None:
    """Refuse a dataset from which the target cannot be learned, writing nothing.

    Raises:
        UserError: as `ensure_schema` refuses it.
    """
    read = config.data.read if config.data.read != Read() else sniff(config.path(config.data.path))
    config = config.model_copy(update={"data": config.data.model_copy(update={"read": read})})
    rows, _ = sample_rows(config)
    _check_columns(config, rows)
    name = config.data.target
    column, _ = read_writing(name, rows[name])
    values, _ = _parse(rows[name], column)
    task = config.data.task if config.data.task != "guess" else guess_task(column, values)[0]
    check_target(name, column, as_text(values), task)


def _check_columns(config: Config, rows: pd.DataFrame) -> None:
    """Refuse rows without the target, or with nothing else."""
    name = config.data.target
    find_column(name, list(rows.columns))
    if rows.shape[1] == 1:
        raise UserError(f"the dataset has no column but the target {name!r}; add columns to predict from.")


def learn_reading(config: Config) -> Config:
    """Return the config with how the data's file is written: guessed, and noted in params.yaml, unless that says it."""
    read = config.data.read if config.data.read != Read() else sniff(config.path(config.data.path))
    guessed = {name: value for name, value in read if value != getattr(config.data.read, name)}
    if guessed:
        changes = {f"data.read.{name}": (value, "guess: from the file") for name, value in guessed.items()}
        update_params(config.path(PARAMS), changes)
        guesses = ", ".join(f"{name} {value!r}" for name, value in guessed.items())
        print(f"setup: {config.data.path} seems to have {guesses}: see data.read in params.yaml")
    return config.model_copy(update={"data": config.data.model_copy(update={"read": read})})


def sample_rows(config: Config) -> tuple[pd.DataFrame, int]:
    """Return all rows, or of many an evenly spaced sample, always the same; and how many there are."""
    kept, held, step, total = list[pd.DataFrame](), 0, 1, 0
    for batch in read_batches(config.path(config.data.path), config.data.read):
        kept.append(batch.iloc[-total % step :: step].copy())  # a copy, for a part would keep the whole batch
        held, total = held + len(kept[-1]), total + len(batch)
        while held > min(SAMPLE, SAMPLE_CELLS // batch.shape[1]):
            kept, step = [pd.concat(kept, ignore_index=True).iloc[::2].copy()], step * 2
            held = len(kept[0])
    return pd.concat(kept, ignore_index=True), total


def widen(config: Config, columns: dict[str, Found]) -> tuple[dict[str, Found], set[str]]:
    """Return what a sample showed of each column, corrected by all rows; and the target's values, of many only some."""
    columns, classes = dict(columns), set[str]()
    for batch in read_batches(config.path(config.data.path), config.data.read):
        for name, (column, guesses) in columns.items():
            values, wrong = _parse(batch[name], column)
            missing = column.missing or bool(values.isna().any())
            if wrong.any():
                cell = batch[name].iloc[int(wrong.argmax())]
                column, guesses = Column(type="category"), [f"a category, for {cell!r:.60} is no {column.type}"]
            columns[name] = column.model_copy(update={"missing": missing}), guesses
        if len(classes) <= MANY_CLASSES:
            classes |= {
                *as_text(_parse(batch[config.data.target], columns[config.data.target][0])[0]).dropna().unique()
            }
    return columns, classes


def judge(
    config: Config, looks: list[Look], typed: pd.DataFrame, task: Task
) -> tuple[dict[str, str], str | None, TimeOrder | None, list[Look]]:
    """Return the columns to drop with the reasons, what groups rows, what orders them, and the looks with hints."""
    name = config.data.target
    learnt = [look for look in looks if look.name not in (name, config.data.weight, *config.data.drop)]
    learnt = find_dropped(learnt, typed)
    group = find_group(learnt, typed)
    free = [look for look in learnt if look.drop is None]
    seen = typed[[look.name for look in free if look is not group]]
    leaks = find_leaks(seen, typed[name], task, typed[group.name] if group else None)
    time = _order(learnt, typed, name, task)
    dropped = {look.name: look.drop for look in learnt if look.drop} | leaks
    if group and not (time and time.sorted) and config.split.method == "hash" and not config.split.key:
        dropped[group.name] = "names what several rows are about (see split.key)"
    hints = {}
    if len(dropped) == len(learnt):
        kept = next((column for column in dropped if "value in" not in dropped[column]), next(iter(dropped), name))
        hints[kept] = f"kept, for no other column is left: {dropped.pop(kept)}"
    looks = [replace(look, hints=[*look.hints, hints[look.name]]) if look.name in hints else look for look in looks]
    return dropped, group.name if group else None, time, looks


def _look(name: str, values: pd.Series, column: Column, guesses: list[str]) -> Look:
    return Look(name, column, int(values.nunique()), float(values.isna().mean()), guesses)


def _parse(values: pd.Series, column: Column) -> tuple[pd.Series, np.ndarray]:
    return parse_values(values, column.type, column.format, column.unit, column.missing_values)


def _contract(name: str, columns: dict[str, Column], classes: list[str] | None) -> Schema:
    target = columns[name].model_dump(exclude={"values"})
    others = {column: described for column, described in columns.items() if column != name}
    return Schema(Target(name=name, values=classes, **target), others)


def _order(looks: list[Look], typed: pd.DataFrame, name: str, task: str) -> TimeOrder | None:
    """Return the column of moments that could split the rows, the moment, and whether both parts would do."""
    look, ordered = find_time(looks, typed)
    if look is None:
        return None
    moments, target = typed[look.name], typed[name]
    cutoff = moments.sort_values().iloc[int(0.8 * len(moments))]
    cutoff = day if (day := cutoff.floor("D")) > moments.min() else cutoff
    test = moments >= cutoff
    works = not test.all() and target[test].nunique() > 1 and target[~test].nunique() > 1
    works = works and (task == "regression" or set(target) == set(target[~test]))
    text = cutoff.date().isoformat() if cutoff == cutoff.floor("D") else cutoff.isoformat()
    return TimeOrder(look.name, text, ordered and works)
