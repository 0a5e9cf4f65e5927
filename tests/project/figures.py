"""What tests of the statistics compute inside a generated project, on made-up models; see inside.py."""

import warnings
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from mlops_actions.core.config import Config
from mlops_actions.core.errors import UserError
from mlops_actions.stats import intervals as interval
from mlops_actions.stats.metrics import METRICS, Predictions, find_metric, metrics_of, one_vs_rest
from mlops_actions.stats.own_metrics import own_metrics
from scipy import stats
from sklearn import metrics as theirs

interval.BLACK_BOX_RESAMPLES = 150  # a third of what the gate takes, each of which costs some milliseconds
Rows = tuple[np.ndarray, Predictions, Predictions]


def do_compare_with_scikit_learn(root: Path, cases: int) -> list[str]:
    """The metrics that differ from scikit-learn's on resampled rows: all weigh 1, or as often as they were drawn."""
    random = np.random.default_rng(0)
    differ = []
    for case in range(cases):
        for task in ("classification", "regression"):
            truth, said = make_rows(random, task, case)
            rows = len(truth)
            weights = np.stack(
                [np.ones(rows), *(np.bincount(random.integers(rows, size=rows), minlength=rows) for _ in range(3))]
            )
            for name, metric in metrics_of(task).items():
                ours = metric.weigh(truth, said)(weights)
                repeated = [np.repeat(np.arange(rows), row.astype(int)) for row in weights]
                expected = [reference(name, truth[some], said.take(some)) for some in repeated]
                if name == "mape" and not truth.all():
                    expected = [np.nan] * len(expected)  # undefined of all rows, so of each resample
                counted = metric.weigh(truth, said)(weights.astype(np.uint8))
                if not all(np.allclose(one, expected, equal_nan=True) for one in (ours, counted)):
                    differ.append(f"{name}, case {case}: {ours} is not {expected}")
    return differ


def do_compare_decided(root: Path) -> dict[str, list[float]]:
    """Metrics of labels by thresholds, ours and scikit-learn's, of some rows, in another order of classes."""
    random = np.random.default_rng(4)
    probability = random.beta(1, 3, 300).round(2)
    truth = np.where(random.random(300) < probability, "bad", "good").astype(object)
    said = Predictions(np.column_stack([probability, 1 - probability]), ["bad", "good"]).about("bad").decide(0.3)
    found = {}
    for name, of in {"plain": said, "with a class more": said.with_classes(["ugly", "good", "bad"])}.items():
        some = np.flatnonzero(random.random(300) < 0.5)
        kept, labels = of.take(some), np.where(probability[some] >= 0.3, "bad", "good")
        assert list(kept.labels) == list(labels)
        ours = METRICS["accuracy"].compute(truth[some], kept)
        found[name] = [ours, theirs.accuracy_score(truth[some].astype(str), labels)]
    longer = said.followed_by(np.array([[0.6, 0.4], [0.1, 0.9]]))
    assert list(longer.labels[-2:]) == ["good", "bad"] and list(longer.labels[:-2]) == list(said.labels)
    found["recall"] = [
        METRICS["recall"].compute(truth, said),
        theirs.recall_score(truth.astype(str), said.labels.astype(str), pos_label="bad"),
    ]
    plain = Predictions(said.values, said.classes)
    gain, *_ = interval.paired_estimate(METRICS["recall"], truth, plain, said)
    found["gain"] = [gain, found["recall"][0] - METRICS["recall"].compute(truth, plain)]
    return found


def do_compare_influences(root: Path, cases: int) -> list[str]:
    """The metrics whose influence is not the derivative that small changes of each weight give."""
    random = np.random.default_rng(1)
    differ = []
    for case in range(cases):
        for task in ("classification", "regression"):
            truth, said = make_rows(random, task, case)
            rows = len(truth)
            for name, metric in metrics_of(task).items():
                weigh = metric.weigh(truth, said)
                if name == "median_absolute_error" or not np.isfinite(weigh(np.ones((1, rows)))[0]):
                    continue  # a median has no derivative
                up, down = (weigh(1 + step * np.eye(rows)) for step in (1e-4, -1e-4))
                expected = rows * (up - down) / 2e-4
                if not np.allclose(weigh.influence(), expected, atol=1e-4 * max(1, abs(expected).max())):
                    differ.append(f"{name}, case {case}")
    return differ


def make_rows(random: np.random.Generator, task: str, case: int) -> tuple[np.ndarray, Predictions]:
    """Few rows, with ties in every other case, and classes that may be absent."""
    rows, size = int(random.integers(4, 60)), int(random.integers(2, 5))
    if task == "regression":
        return random.normal(size=rows).round(1 if case % 2 else 8), Predictions(random.normal(size=rows).round(1))
    classes = [f"c{index}" for index in range(size)]
    values = random.dirichlet(np.ones(size), rows)
    if case % 2:
        values = values.round(1) + 1e-9
        values = (values / values.sum(axis=1, keepdims=True)).round(9)
    common = np.minimum(random.integers(0, size, rows), random.integers(0, size, rows))
    return np.array(classes, dtype=object)[common], Predictions(values, classes)


def reference(name: str, truth: np.ndarray, said: Predictions) -> float:
    """The metric by scikit-learn."""
    labels = said.labels.astype(str) if said.classes else said.values
    there = set(truth)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if said.classes is None:
            function = {"rmse": "root_mean_squared_error", "mae": "mean_absolute_error", "r2": "r2_score",
                        "mape": "mean_absolute_percentage_error"}.get(name, name)  # fmt: skip
            return np.nan if name == "r2" and len(there) < 2 else getattr(theirs, function)(truth, said.values)
        actual = truth.astype(str)
        if name in ("precision", "recall", "f1"):
            two = len(said.classes) == 2
            if two and said.classes[1] not in there:
                return np.nan
            average = {"average": "binary", "pos_label": said.classes[1]} if two else {"average": "macro"}
            return getattr(theirs, f"{name}_score")(actual, labels, zero_division=0, **average)
        if name in ("roc_auc", "average_precision"):
            if len(there) < 2:
                return np.nan
            parts = [(truth == label, scores) for label, scores in one_vs_rest(said) if label in there]
            values = [getattr(theirs, f"{name}_score")(hit, scores) for hit, scores in parts]
            return float(np.average(values, weights=[hit.sum() for hit, _ in parts]))
        if name == "brier_score":
            hits = truth[:, None] == np.array(said.classes, dtype=object)
            return float(np.mean(np.sum((said.values - hits) ** 2, axis=1)) / (2 if len(said.classes) == 2 else 1))
        if name == "log_loss":
            return theirs.log_loss(actual, said.values, labels=said.classes)
        return getattr(theirs, {"accuracy": "accuracy_score"}.get(name, f"{name}_score"))(actual, labels)


def do_score(root: Path, metric: str, task: str) -> tuple[float, float]:
    """A scorer by our name and by scikit-learn's own function, of a model that knows the answers."""
    random = np.random.default_rng(2)
    if task == "regression":
        truth, said = random.gamma(2, size=80), random.gamma(2, size=80)
        function = {"neg_mean_poisson_deviance": lambda a, b: -theirs.mean_poisson_deviance(a, b),
                    "explained_variance": theirs.explained_variance_score}.get(metric)  # fmt: skip
        function = function or getattr(theirs, metric)
        return find_metric(metric, task).compute(truth, Predictions(said)), function(truth, said)
    classes = ["a", "b"] if metric == "jaccard" else ["a", "b", "c"]
    codes = random.integers(len(classes), size=80)
    values = random.dirichlet(np.ones(len(classes)), 80)
    said = Predictions(values, classes)
    labels = values.argmax(axis=1)
    expected = {
        "matthews_corrcoef": lambda: theirs.matthews_corrcoef(codes, labels),
        "f1_weighted": lambda: theirs.f1_score(codes, labels, average="weighted"),
        "jaccard": lambda: theirs.jaccard_score(codes, labels),
        "roc_auc_ovo": lambda: theirs.roc_auc_score(codes, values, multi_class="ovo"),
        "top_k_accuracy": lambda: theirs.top_k_accuracy_score(codes, values),
        "neg_log_loss": lambda: -theirs.log_loss(codes, values),
    }[metric]()
    return find_metric(metric, task).compute(np.array(classes, dtype=object)[codes], said), expected


def do_measure(
    root: Path, metric: str, truth: list[str] | None = None, own: Config | None = None
) -> float | str | None:
    """A metric of four rows of two classes, one of them wrong; the sentence where it is refused."""
    actual = np.array(truth or ["yes", "yes", "no", "no"], dtype=object)
    said = Predictions(np.array([[0.2, 0.8], [0.7, 0.3], [0.6, 0.4], [0.9, 0.1]]), ["no", "yes"])
    try:
        value = find_metric(metric, "classification", own_metrics(own) if own else {}).compute(actual, said)
    except UserError as error:
        return str(error)
    return value if np.isfinite(value) else None


def make_case(case: str, rows: int = 200) -> Rows:
    """The truth and two models' answers."""
    random = np.random.default_rng(3)
    if case.endswith("numbers"):
        truth = random.normal(size=rows)
        if case == "constant numbers":
            return truth, Predictions(np.zeros(rows)), Predictions(np.full(rows, 0.1))
        return truth, Predictions(truth + random.normal(size=rows)), Predictions(truth + random.normal(size=rows))
    classes = ["a", "b", "c"] if case in ("three classes", "vanished class") else ["no", "yes"]
    codes = random.permutation(np.arange(rows) % len(classes))
    if case == "one class":
        codes[:] = 0
    truth = np.array(classes, dtype=object)[codes]
    score = np.eye(len(classes))[codes] + random.gamma(1, 0.6, (rows, len(classes)))
    champion = score / score.sum(axis=1, keepdims=True)
    noise = score + random.gamma(1, 0.2, score.shape)
    candidate = noise / noise.sum(axis=1, keepdims=True)
    if case == "constant":
        champion, candidate = (np.tile(share, (rows, 1)) for share in ([0.3, 0.7], [0.4, 0.6]))
    if case == "identical":
        candidate = champion
    if case == "perfect":
        champion, candidate = (np.eye(len(classes))[codes] * share + (1 - share) / 2 for share in (0.8, 0.6))
        candidate += random.uniform(-0.01, 0.01, (rows, 1)) * [1, -1]
    if case == "same labels":
        candidate = 0.9 * champion + 0.1 * np.eye(2)[champion.argmax(axis=1)]
    if case in ("one row", "three rows"):
        candidate = champion.copy()
        wrong = np.flatnonzero(champion.argmax(axis=1) != codes)[: 1 if case == "one row" else 3]
        candidate[wrong] = np.eye(2)[codes[wrong]]
    if case == "vanished class":
        kept = candidate[:, :2] / candidate[:, :2].sum(axis=1, keepdims=True)
        return truth, Predictions(champion, classes), Predictions(kept, classes[:2])
    return truth, Predictions(champion, classes), Predictions(candidate, classes)


def do_interval(
    root: Path, metric: str, case: str = "noisy", rows: int = 200, repeat: int = 1, grouped: bool = False
) -> dict[str, Any] | None:
    """The interval of one metric, each row repeated, the repetitions in one group or not."""
    truth, champion, candidate = make_case(case, rows)
    again = np.repeat(np.arange(rows), repeat)
    groups = again if grouped else None
    metrics = [find_metric(metric, "classification")]
    found = interval.paired_intervals(
        metrics, truth[again], champion.take(again), candidate.take(again), confidence=0.95, groups=groups
    ).get(metric)
    return None if found is None else asdict(found)


def do_intervals(root: Path, case: str, rows: int) -> dict[str, list[float]]:
    """Gain, bounds and error of every metric that is defined, those that know no weights included."""
    truth, champion, candidate = make_case(case, rows)
    task = "regression" if champion.classes is None else "classification"
    metrics = [*metrics_of(task).values()]
    metrics += [find_metric("matthews_corrcoef" if champion.classes else "neg_max_error", task)]
    found = interval.paired_intervals(metrics, truth, champion, candidate, confidence=0.95)
    for metric in metrics:
        gain, error, df = interval.paired_estimate(metric, truth, champion, candidate)
        assert metric.name not in found or np.isfinite([gain, error]).all() and df >= 1, metric.name
    return {name: [one.gain, one.low, one.high, one.error] for name, one in found.items()}


def do_compare_delong(root: Path) -> list[tuple[float, float]]:
    """The standard error of ROC AUC's change, ours and by comparing all pairs, with and without ties."""
    found = []
    for digits in (8, 1):
        truth, *models = make_case("noisy", 60)
        champion, candidate = (Predictions(model.values.round(digits), model.classes) for model in models)
        parts = []
        for model in (champion, candidate):
            positive, negative = (model.values[truth == label, 1] for label in ("yes", "no"))
            wins = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
            parts.append((wins.mean(axis=1), wins.mean(axis=0)))
        positives, negatives = (parts[1][side] - parts[0][side] for side in (0, 1))
        expected = np.sqrt(positives.var(ddof=1) / len(positives) + negatives.var(ddof=1) / len(negatives))
        _, error, _ = interval.paired_estimate(METRICS["roc_auc"], truth, champion, candidate)
        found.append((error, float(expected)))
    return found


def do_compare_with_scipy(root: Path) -> tuple[list[float], list[float], float]:
    """The bounds of the mean absolute error's change, ours and SciPy's BCa bootstrap of the rows' differences."""
    truth, champion, candidate = make_case("numbers", 2000)
    ours = interval.paired_intervals([METRICS["mae"]], truth, champion, candidate, confidence=0.95)["mae"]
    gains = np.abs(truth - champion.values) - np.abs(truth - candidate.values)
    random = np.random.default_rng(4)
    them = stats.bootstrap((gains,), np.mean, n_resamples=9999, batch=500, rng=random).confidence_interval
    return [ours.low, ours.high], [float(them.low), float(them.high)], float(them.high - them.low)


def do_compare_black_box(root: Path) -> tuple[float, float]:
    """The error of accuracy as a user's function, from resamples of a few of many rows, and as the built-in metric."""
    truth, champion, candidate = make_case("noisy", 20_000)
    found = []
    for metric in (find_metric("precision_micro", "classification"), METRICS["accuracy"]):
        one = interval.paired_intervals([metric], truth, champion, candidate, confidence=0.95)[metric.name]
        found.append(one.error)
    return found[0], found[1]


def do_one_row_far_off(root: Path) -> list[list[float]]:
    """The error of RMSE's change and its degrees of freedom that one of 100 rows makes up, without tail and with."""
    truth = np.random.default_rng(5).normal(size=100)
    champion, candidate = truth + 0.1, truth + 0.1
    candidate[0] += 10
    found = []
    for tail in (0, METRICS["rmse"].tail):
        metric = replace(METRICS["rmse"], tail=tail)
        _, error, df = interval.paired_estimate(metric, truth, Predictions(champion), Predictions(candidate))
        found.append([error, df])
    return found


def do_p_values(root: Path, cases: list[list[float]]) -> list[float]:
    """P-values of "no worse than 0.01" of gains with their errors."""
    return [interval.p_not_below(gain, error, 50, 0.01) for gain, error in cases]


def do_margins(root: Path, error: float, df: float) -> list[float]:
    """The margin that is advised, the chance that it leaves, and the smallest detectable change."""
    margin = interval.enough_margin(error, df, 0.05)
    chance = interval.chance_of_blocking_equal(error, df, margin)
    return [margin, chance, interval.smallest_detectable(error, df, 0.95)]
