"""Saves the pipeline as an MLflow model: `mlflow_model.py PIPELINE FOLDER`."""

import sys

import mlflow.sklearn
from plain import load

pipeline = load(sys.argv[1])
mlflow.sklearn.save_model(pipeline, sys.argv[2], pyfunc_predict_fn="predict_proba", serialization_format="cloudpickle")
