"""Where things lie in a project, from its top."""

from pathlib import Path

PACKAGE = __name__.partition(".")[0]  # the engine, as it is imported
DISTRIBUTION = PACKAGE.replace("_", "-")  # and as it is required
VENDOR = "vendor"  # where its wheel is in a project

STAGES = ("prepare", "history", "featurize", "train", "evaluate", "export")  # in the order data flows
STAGE_TIMES = Path(".dvc/tmp/stages")  # how long each took in the last run, in seconds

RECIPES = "recipes.yaml"
TRAIN_ROWS = "data/prepared/train.parquet"
TEST_ROWS = "data/prepared/test.parquet"
SUMMARY = "data/summary.json"
HISTORY = "data/history"
TRAIN_FEATURES = "data/features/train.parquet"
TEST_FEATURES = "data/features/test.parquet"
PIPELINE = "models/pipeline.skops"
METRICS = "metrics.json"
PLOTS = "plots/data"
BUNDLE = "models/bundle.zip"
LOCK = "dvc.lock"
SERVING_STATE = Path(".mlops/serving")  # what `mlops serve` keeps
RECORDED = (LOCK, METRICS, SUMMARY)  # what git keeps of a run; every other output is DVC's
