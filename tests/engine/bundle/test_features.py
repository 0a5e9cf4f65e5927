"""features.py is the user's: a function or a scikit-learn transformer, with the same bits alone and in a batch."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from mlops_actions.bundle.features import check_alone, code_digests, make_features
from mlops_actions.core.config import Config, History
from mlops_actions.core.errors import UserError

Owner = Callable[[str], Config]
IMPORTS = "import numpy as np\nimport pandas as pd\nfrom sklearn import compose, pipeline, preprocessing\n"
NUMBERS = '["day_minutes", "eve_minutes"]'
COLUMNS = 4


def calls() -> pd.DataFrame:
    """Typed rows of customers and their calls."""
    numbers = np.arange(40.0)
    return pd.DataFrame(
        {
            "length": numbers + 1,
            "day_minutes": numbers * 7 % 40,
            "eve_minutes": numbers * 11 % 40,
            "area": pd.Series([f"area {n % 3}" for n in range(40)], dtype="str"),
        }
    )


def function(result: str) -> str:
    return f"def add_features(rows):\n    return {result}\n"


FINE = {
    "a function": function('rows.assign(ratio=rows["day_minutes"] / (1 + rows["eve_minutes"]))'),
    "a transformer": "add_features = preprocessing.FunctionTransformer(lambda rows: rows.assign(ratio=1.5))",
    "columns and a pipeline": f"""
steps = pipeline.make_pipeline(preprocessing.FunctionTransformer(np.log1p), preprocessing.Normalizer())
add_features = compose.make_column_transformer(
    (steps, {NUMBERS}), remainder="passthrough", verbose_feature_names_out=False
)
""",
}
UNLIKE = {
    "mean": (function('rows.assign(far=rows["length"] - rows["length"].mean())'), "'far' of a row is"),
    "rank": (function('rows.assign(place=rows["length"].rank())'), "'place' of a row is"),
    "previous row": (function('rows.assign(before=rows["length"].shift())'), "'before' of a row is"),
    "dummies": (function('pd.get_dummies(rows, columns=["area"])'), "among others and absent alone"),
    "scaler": (
        f"add_features = compose.make_column_transformer((preprocessing.StandardScaler(), {NUMBERS}))",
        "move what is learned from all rows into model.py",
    ),
}
REFUSED = {
    "infinite": (function("rows.assign(far=np.inf)"), "'far' is infinite in some rows (first: row 8)"),
    "beyond float32": (function('rows.assign(far=1e39 * (rows["length"] == 5))'), "'far' is infinite in some rows"),
    "fewer rows": (function("rows.head(3)"), "one row for each row it gets"),
    "no table": (function('rows["length"]'), "add_features must return a DataFrame"),
    "another order": (function("rows.iloc[::-1]"), "must keep the order of the rows"),
    "the target": (function('rows.assign(churn="no")'), "and never the target"),
    "no column": (function("rows[[]]"), "must return one column or more"),
    "a name twice": (function("pd.concat([rows, rows], axis=1)"), "no name twice"),
    "dates": (function('rows.assign(day=pd.Timestamp("2026-01-31"))'), "'day' is datetime64[us]; add_features must"),
    "no function": ("add_feature = None\n", "has no add_features; define it"),
}


@pytest.mark.parametrize("case", FINE)
def test_functions_and_transformers_make_features(owner: Owner, case: str) -> None:
    config = owner(IMPORTS + FINE[case])
    made = make_features(calls(), config)
    check_alone(calls(), made, config)
    assert len(made.columns) == COLUMNS + ("ratio" in made)


def test_minus_zero_nothing_and_not_a_number_have_one_form_each(owner: Owner) -> None:
    code = 'rows.assign(zero=-0.0, none=None, nan=float("nan"), odd=np.where(rows["length"] % 2, -0.0, 0.0))'
    config = owner(IMPORTS + function(code))
    made = make_features(calls(), config)
    check_alone(calls(), made, config)
    assert not made[["zero", "odd"]].to_numpy().view("uint32").any(), "there is one zero"
    assert made[["nan"]].isna().all(axis=None) and (made["none"] == "(missing)").all()


def test_numbers_are_float32_before_text_whatever_their_type_was(owner: Owner) -> None:
    code = 'rows.assign(area=pd.Categorical(rows["area"]), few=rows["length"] > 3, code=7, label=list("ab") * 20)'
    made = make_features(calls(), owner(IMPORTS + function(code)))
    assert [*made.columns] == ["length", "day_minutes", "eve_minutes", "few", "code", "area", "label"]
    assert [str(kind) for kind in made.dtypes] == ["float32"] * 5 + ["str"] * 2
    assert made["few"].tolist()[:4] == [0, 0, 0, 1] and made["area"].tolist() == calls()["area"].tolist()


def test_the_target_and_dropped_columns_are_not_seen(owner: Owner) -> None:
    config = owner(function("rows"))
    unseen = config.data.model_copy(update={"drop": ["area"], "weight": "length"})
    made = make_features(calls().assign(churn="no"), config.model_copy(update={"data": unseen}))
    assert [*made.columns] == ["day_minutes", "eve_minutes"]


@pytest.mark.parametrize("case", UNLIKE)
def test_what_a_row_has_among_others_only_is_refused(owner: Owner, case: str) -> None:
    code, sentence = UNLIKE[case]
    config = owner(IMPORTS + code)
    with pytest.raises(UserError) as refusal:
        check_alone(calls(), make_features(calls(), config), config)
    assert str(refusal.value).startswith("features.py: ") and sentence in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("case", REFUSED)
def test_what_are_no_features_is_refused(owner: Owner, case: str) -> None:
    code, sentence = REFUSED[case]
    with pytest.raises(UserError) as refusal:
        make_features(calls(), owner(IMPORTS + code), first=7)
    assert str(refusal.value).startswith("features.py: ") and sentence in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_the_code_that_a_prediction_may_need_is_known_by_its_digests(owner: Owner) -> None:
    config = owner(function("rows"))
    assert [*code_digests(config)] == ["features.py"]
    (config.root / "features.sql").write_text("SELECT 1")
    past = config.model_copy(update={"history": History(entity=["customer"], time="at")})
    assert [*code_digests(past)] == ["features.py", "features.sql"]
    assert len({*code_digests(past).values()}) == 2
