"""features.py is the user's: a function or a scikit-learn transformer, with the same bits alone and in a batch."""

from collections.abc import Callable

import pandas as pd
import pytest
from baked import Project
from inside import Inside

IMPORTS = "import numpy as np\nimport pandas as pd\nfrom sklearn import compose, pipeline, preprocessing\n"
NUMBERS = '["total_day_minutes", "total_eve_minutes"]'


def function(result: str) -> str:
    return f"def add_features(rows):\n    return {result}\n"


FINE = {
    "a function": function('rows.assign(ratio=rows["total_day_minutes"] / (1 + rows["total_eve_minutes"]))'),
    "a transformer": "add_features = preprocessing.FunctionTransformer(lambda rows: rows.assign(ratio=1.5))",
    "columns and a pipeline": f"""
steps = pipeline.make_pipeline(preprocessing.FunctionTransformer(np.log1p), preprocessing.Normalizer())
add_features = compose.make_column_transformer(
    (steps, {NUMBERS}), remainder="passthrough", verbose_feature_names_out=False
)
""",
    "minus zero, nothing and not a number": function(
        'rows.assign(zero=-0.0, none=None, nan=float("nan"), odd=np.where(rows["account_length"] % 2, -0.0, 0.0))'
    ),
}
REFUSED = {
    "mean": (function('rows.assign(far=rows["account_length"] - rows["account_length"].mean())'), "'far' of a row is"),
    "rank": (function('rows.assign(place=rows["account_length"].rank())'), "'place' of a row is"),
    "previous row": (function('rows.assign(before=rows["account_length"].shift())'), "'before' of a row is"),
    "dummies": (function('pd.get_dummies(rows, columns=["area_code"])'), "among others and absent alone"),
    "scaler": (
        f"add_features = compose.make_column_transformer((preprocessing.StandardScaler(), {NUMBERS}))",
        "move what is learned from all rows into model.py",
    ),
    "infinite": (function("rows.assign(far=np.inf)"), "'far' is infinite"),
    "fewer rows": (function("rows.head(3)"), "one row for each row it gets"),
    "the target": (function('rows.assign(churn="no")'), "and never the target"),
}


@pytest.fixture(scope="module")
def prepared(fresh: Callable[..., Project], inside: Inside) -> Project:
    project = fresh(120)
    inside("history", project.path)
    return project


@pytest.mark.parametrize("case", FINE)
def test_functions_and_transformers_make_features(prepared: Project, inside: Inside, case: str) -> None:
    assert inside("featurize", prepared.path, code=IMPORTS + FINE[case]) == ""
    made = pd.read_parquet(prepared.path / "data/features/train.parquet")
    if case.startswith("minus"):
        bits = made[["zero", "odd"]].to_numpy().view("uint32")
        assert not bits.any(), "there is one zero"
        assert made[["nan"]].isna().all(axis=None) and (made["none"] == "(missing)").all()
    else:
        assert len(made.columns) == 20 + ("ratio" in made)


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_row_has_among_others_only_is_refused(prepared: Project, inside: Inside, case: str) -> None:
    code, expected = REFUSED[case]
    said = inside("featurize", prepared.path, code=IMPORTS + code)
    assert said.startswith("features.py: ") and expected in said and "\n" not in said
