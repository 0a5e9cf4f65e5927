"""A project of orders whose customers have a past: the table, the features.sql and the params that tests begin with."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from baked import Project
from tables import DATA, Change, knob

PAST = "PARTITION BY customer ORDER BY ordered_at"
SQL = f"""SELECT customer, ordered_at, count(*) OVER past AS orders, avg(amount) OVER past AS mean_amount,
    max(amount) OVER past AS best, last(channel) OVER past AS channel_before,
    avg((returned = 'True')::INTEGER) OVER past AS returns
FROM events WINDOW past AS ({PAST})"""
PARAMS = (
    knob('target: "churn"', "target: returned"),
    knob("  entity: []\n  time: null", "  entity: [customer]\n  time: ordered_at"),
    knob("estimator: hist_gradient_boosting", "estimator: logistic"),
)


def orders(rows: int = 600, customers: int = 40) -> pd.DataFrame:
    """Orders, no two of a customer at one moment: some customers return more than others, and one is unknown."""
    luck = np.random.default_rng(0)
    who = luck.integers(0, customers, rows)
    habit = luck.normal(size=customers)[who]
    minutes = luck.integers(0, 200 * 24, rows) * 60
    return pd.DataFrame(
        {
            "customer": [f"{number:03}" if number else None for number in who],
            "ordered_at": pd.Timestamp("2025-01-01") + pd.to_timedelta(minutes, unit="min"),
            "channel": luck.choice(["web", "shop"], rows),
            "amount": np.round(20 * np.exp(habit / 2 + luck.normal(size=rows) / 3), 2),
            "returned": habit + luck.normal(size=rows) > 0,
        }
    ).drop_duplicates(["customer", "ordered_at"])


def put(project: Project, rows: pd.DataFrame) -> None:
    rows.to_csv(project.path / DATA, index=False)


def open_shop(project: Project, rows: pd.DataFrame | None, sql: str, *changes: Change) -> Project:
    """The project with these orders, this features.sql and params that use it, changed."""
    put(project, orders() if rows is None else rows)
    project.write("features.sql", sql)
    text = project.read("params.yaml")
    for change in (*PARAMS, *changes):
        text = change(text)
    project.write("params.yaml", text)
    return project


def parts(project: Project, stage: str) -> pd.DataFrame:
    """The rows or features of train and test."""
    return pd.concat([pd.read_parquet(project.path / f"data/{stage}/{part}.parquet") for part in ("train", "test")])


Shop = Callable[..., Project]
