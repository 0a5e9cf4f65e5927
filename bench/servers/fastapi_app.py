"""The usual way: FastAPI, a pydantic body, a DataFrame, the pipeline."""

import os
from typing import Any

import pandas as pd
from fastapi import FastAPI
from plain import load

pipeline = load(os.environ["PIPELINE"])
app = FastAPI()


@app.post("/predict")
def predict(rows: list[dict[str, Any]]) -> list[dict[str, float]]:
    """Return the probability of each class, a row."""
    probabilities = pipeline.predict_proba(pd.DataFrame(rows))
    return [dict(zip(pipeline.classes_, row, strict=True)) for row in probabilities.tolist()]
