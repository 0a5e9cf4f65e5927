"""The pipeline as a BentoML service."""

import os
from typing import Any

import bentoml
import pandas as pd
from plain import load


@bentoml.service(workers=1)
class Churn:
    """Answers rows."""

    def __init__(self) -> None:
        self.pipeline = load(os.environ["PIPELINE"])

    @bentoml.api
    def predict(self, rows: list[dict[str, Any]]) -> list[list[float]]:
        """Return the probability of each class, a row."""
        return self.pipeline.predict_proba(pd.DataFrame(rows)).tolist()
