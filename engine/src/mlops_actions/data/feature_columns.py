"""What the columns of a feature table are, which decides what they go through before the estimator."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.pipeline import Pipeline

from .table import columns_of
from .values import is_text

# Of a value or word that fewer rows have, little can be learned: it counts as one never seen. Of few rows, two suffice.
ROWS = 5
FEW = 10  # values, up to which each one gets a column of its own
MOST = 1000  # values of a column, the most frequent ones, that are told apart
WORDS = 200  # of a text, the most frequent ones, that are counted
LISTED = 8  # names in a line that is printed


@dataclass(frozen=True)
class Columns:
    """The columns of a feature table by what they are, for model.py to say what each kind goes through.

    Attributes:
        rows: how many rows there are to train on.
        numbers: names of the columns of float32 numbers.
        few: names of the categories with few values, each with these values, in the order of their codes.
        many: names of the categories with many values, each with the most frequent ones.
        texts: names of the columns of free text, each with its most frequent words.
        left_out: names of the columns that the model does not see, being empty or all different.

    Examples:
        >>> columns = Columns(rows=2000, numbers=["age"], few={"plan": ["basic", "premium"]})
        >>> columns.used, list(columns.few)
        (2, ['plan'])
    """

    rows: int
    numbers: list[str] = field(default_factory=list)
    few: dict[str, list[str]] = field(default_factory=dict)
    many: dict[str, list[str]] = field(default_factory=dict)
    texts: dict[str, list[str]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    @property
    def used(self) -> int:
        """How many columns the model learns from."""
        return len(self.numbers) + len(self.few) + len(self.many) + len(self.texts)


def sort_columns(features: pd.DataFrame, kinds: dict[str, str]) -> Columns:
    """Return the columns of a feature table (float32 numbers, str categories without gaps), judged by their values.

    Which are text the contract says (`kinds`), of those that it knows. The target is not looked at, so rows that a
    model is validated on may be among these. What is told apart is listed here and given to scikit-learn's encoders,
    since what they themselves call infrequent does not survive in ONNX.
    """
    columns = Columns(len(features))
    numbers, categories = columns_of(features)
    for name in numbers:
        # Histogram gradient boosting cannot bin a column without a single value, and no model learns from one.
        (columns.numbers if features[name].notna().any() else columns.left_out).append(name)
    for name in categories:
        counts = features[name].value_counts()
        kind = kinds.get(name)
        if kind == "text" or (kind != "category" and is_text(counts)):
            columns.texts[name] = frequent_words(features[name])
            continue
        values = frequent_values(counts)
        names = columns.few if len(values) <= FEW else columns.many
        names[name] = values
    for names in (columns.few, columns.texts):
        for name in [name for name, values in names.items() if not values]:
            columns.left_out.append(name)
            del names[name]
    return columns


def enough(rows: int) -> int:
    """Return how many of so many rows must have a value for it to be told apart."""
    return max(2, min(ROWS, rows // 100))


def frequent_values(counts: pd.Series) -> list[str]:
    """Return the values, counted, that enough rows have, at most MOST, in the order of the alphabet."""
    often = sorted((-count, str(value)) for value, count in counts[counts >= enough(int(counts.sum()))].items())
    return sorted(value for _, value in often[:MOST])


def frequent_words(texts: pd.Series) -> list[str]:
    """Return the words that enough texts have, at most WORDS, in the order of the alphabet."""
    try:
        counted = CountVectorizer(binary=True, min_df=enough(len(texts)))
        counts = np.asarray(counted.fit_transform(texts).sum(axis=0)).ravel()
    except ValueError:  # no word is in so many texts
        return []
    often = sorted(zip(-counts, counted.get_feature_names_out(), strict=True))
    return sorted(str(word) for _, word in often[:WORDS])


def tell(columns: Columns, pipeline: Pipeline) -> None:
    """Print a line for each part of a pipeline's first step: what it does, and to which columns."""
    sizes = {name: f"{len(values)} values" for name, values in columns.many.items()}
    sizes |= {name: f"{len(words)} words" for name, words in columns.texts.items()}
    unused = ("left out, empty or no value in enough rows", None, columns.left_out)
    for treatment, _, names in [*pipeline[0].transformers, unused]:
        names = [names] if isinstance(names, str) else names
        shown = [f"{name} ({sizes[name]})" if name in sizes else name for name in names[:LISTED]]
        more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
        if names:
            print(f"train: {treatment}: {', '.join(shown)}{more}")
