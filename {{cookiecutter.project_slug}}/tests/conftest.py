"""What every test may ask for: params, contract, a sample of this project's rows, their features, a fitted pipeline."""

from mlops_actions.testing import config, features, pipeline, rows, schema  # noqa: F401
