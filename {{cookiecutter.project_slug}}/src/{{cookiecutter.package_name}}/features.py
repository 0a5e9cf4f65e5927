"""Which columns the model sees. Yours to edit.

`add_features` is a function of the rows, or a scikit-learn transformer that learns nothing from them.
"""

import pandas as pd


def add_features(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with the columns the model learns from: numbers, booleans and text.

    It sees typed rows without the target and with what features.sql knows of their past, in training, in evaluation
    and for every prediction. Compute each row from that row alone, never from all rows (a mean, a rank): a single row
    must get the same features as a batch. What must be learned from all rows, such as a scale, belongs into model.py.
    """
    rows = rows.copy()
    for name in rows.select_dtypes("datetime").columns:
        moment = rows.pop(name)
        rows[f"{name}_days"] = (moment - pd.Timestamp("2000-01-01")) / pd.Timedelta(days=1)
        rows[f"{name}_month"] = moment.dt.month
        rows[f"{name}_weekday"] = moment.dt.day_of_week
        rows[f"{name}_hour"] = moment.dt.hour
    return rows
