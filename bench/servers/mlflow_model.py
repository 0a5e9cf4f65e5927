"""Saves the pipeline as an MLflow model: `mlflow_model.py PIPELINE DATA TARGET FOLDER`.

With a signature, as MLflow advises: it checks the columns and types of what it is sent then, as all of ours do.
"""

import sys

import mlflow.sklearn
import pandas as pd
from mlflow.models import infer_signature
from plain import load

pipeline, data, target, folder = sys.argv[1:]
model = load(pipeline)
rows = pd.read_csv(data, nrows=1000).drop(columns=target)
rows = rows.astype({name: float for name in rows.select_dtypes("int")})
mlflow.sklearn.save_model(
    model,
    folder,
    pyfunc_predict_fn="predict_proba",
    serialization_format="cloudpickle",
    signature=infer_signature(rows, model.predict_proba(rows)),
)
