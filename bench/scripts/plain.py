"""What a project does to `rows.py`'s customers, as a plain script does it: `plain.py FILE FOLDER TRAINED`."""

import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

file, folder, trained = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
rows = pd.read_parquet(file)
rows = rows.iloc[np.argsort(pd.util.hash_pandas_object(rows, index=False))]
test = pd.util.hash_pandas_object(rows.drop(columns="churn"), index=False) < 0.2 * 2**64
for part, chosen in {"train": rows[~test], "test": rows[test]}.items():
    chosen.to_parquet(folder / f"{part}.parquet", compression="zstd", index=False)
    moment = chosen.pop("since")
    chosen["since_days"] = (moment - pd.Timestamp("2000-01-01")) / pd.Timedelta(days=1)
    chosen["since_month"] = moment.dt.month
    chosen["since_weekday"] = moment.dt.day_of_week
    chosen["since_hour"] = moment.dt.hour
    numbers = chosen.select_dtypes("number").columns
    chosen = chosen.drop(columns="customer").astype(dict.fromkeys(numbers, "float32"))
    chosen.to_parquet(folder / f"{part}_features.parquet", compression="zstd", index=False)

table = pd.read_parquet(folder / "train_features.parquet").iloc[:trained]
target = table.pop("churn")
encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, dtype="float32")
columns = ColumnTransformer([("categories", encoder, ["region", "plan"])], remainder="passthrough")
model = make_pipeline(columns, HistGradientBoostingClassifier(random_state=0, max_iter=20)).fit(table, target)
joblib.dump(model, folder / "model.joblib")
