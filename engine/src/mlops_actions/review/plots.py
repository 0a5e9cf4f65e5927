"""The plots: what champion and candidate predicted for the same rows, as curves, points and counts; their pictures."""

import io
from collections.abc import Callable, Iterator

import numpy as np

from ..stats.curves import calibration, precision_recall, roc
from ..stats.metrics import Predictions, common_classes
from .charts import make_charts
from .report import Confusion, Curve, Model, Plot, PlotName, Report
from .svg import THEMES, paint

POINTS = 300  # rows drawn a model: more would be a cloud
CLASSES = 8  # of a confusion matrix: more cannot be read
BANDS = 10
QUANTILES = {"p10": 0.1, "median": 0.5, "p90": 0.9}  # of the residuals in a band of predictions
DIGITS = 4  # significant, of a coordinate
SCALE = 2  # pixels of a picture for each of CSS
COLOURS = 128  # of a picture
HUGE = 1e100  # a prediction beyond it is not drawn
Models = list[tuple[Model, Predictions]]
Coordinates = tuple[np.ndarray, np.ndarray]
Draw = Callable[[list[Coordinates]], Coordinates]  # from each class's hits and scores


def make_plots(truth: np.ndarray, champion: Predictions | None, candidate: Predictions) -> list[Plot]:
    """Return the plots of both models on the same rows, in the order of `truth`; none where nothing can be drawn.

    Two classes have the curves of the positive one, the last. More have one curve a model, which can be read where a
    dozen cannot: ROC and precision–recall are the mean over classes of one against the rest, weighted by how frequent
    the class is, so that the area under the ROC curve is the metric roc_auc; calibration pools every class's scores
    (Kull et al., NeurIPS 2019, class-wise calibration).
    """
    models: Models = [("champion", champion)] if champion else []
    models += [("candidate", candidate)]
    plots = _regression(truth, models) if candidate.classes is None else _classification(truth, models)
    return [Plot(name, curves) for name, curves in plots if curves]


def count_confusion(truth: np.ndarray, champion: Predictions | None, candidate: Predictions) -> Confusion | None:
    """Return the rows of each actual and predicted class, None for regression.

    Of more than CLASSES classes the most frequent keep their names, and the others are counted together.
    """
    if candidate.classes is None:
        return None
    names = common_classes(truth, [champion, candidate] if champion else [candidate])
    often = sorted(names, key=lambda name: -np.sum(truth == name))
    kept = names if len(names) <= CLASSES else sorted(often[: CLASSES - 1])
    others = [] if kept is names else [f"{len(names) - len(kept)} others"]

    def count(model: Predictions) -> list[list[int]]:
        place = {name: kept.index(name) if name in kept else len(kept) for name in names}
        cells = np.zeros((len(kept) + len(others),) * 2, dtype=int)
        np.add.at(cells, tuple([place[name] for name in labels] for labels in (truth, model.labels)), 1)
        return cells.tolist()

    return Confusion([*kept, *others], count(champion) if champion else None, count(candidate))


def _classification(truth: np.ndarray, models: Models) -> Iterator[tuple[PlotName, list[Curve]]]:
    classes = common_classes(truth, [predictions for _, predictions in models])
    hits = {name: truth == name for name in (classes[1:] if len(classes) == 2 else classes)}
    hits = {name: hit for name, hit in hits.items() if 0 < hit.sum() < len(hit)}
    if not hits:
        return
    label = classes[1] if len(classes) == 2 else ""
    draws: list[tuple[PlotName, Draw]] = [
        ("roc", _mean_of(roc)),
        ("precision_recall", _mean_of(precision_recall)),
        ("calibration", _pool),
    ]
    drawn = [(model, answers) for model, answers in models if np.isfinite(answers.values).all()]
    for plot, draw in draws:
        parts = [(model, [(hit, _scores(answers, name)) for name, hit in hits.items()]) for model, answers in drawn]
        yield plot, [_curve(model, label, *draw(part)) for model, part in parts]


def _scores(predictions: Predictions, name: str) -> np.ndarray:
    classes = predictions.classes or []
    return predictions.values[:, classes.index(name)] if name in classes else np.zeros(len(predictions.values))


def _mean_of(curve: Callable[[np.ndarray, np.ndarray], Coordinates]) -> Draw:
    def draw(parts: list[Coordinates]) -> Coordinates:
        drawn = [curve(hit, scores) for hit, scores in parts]
        return drawn[0][0], np.average([y for _, y in drawn], axis=0, weights=[hit.sum() for hit, _ in parts])

    return draw


def _pool(parts: list[Coordinates]) -> Coordinates:
    hit, scores = (np.concatenate(together) for together in zip(*parts, strict=True))
    return calibration(hit, scores)[:2]


def _regression(truth: np.ndarray, models: Models) -> Iterator[tuple[PlotName, list[Curve]]]:
    """Yield rows at even steps as points, and for residuals also their quantiles in bands of equally many predictions.

    A few hundred points show the same whatever the number of rows; the quantiles are of all rows.
    """
    every_value = [truth, *(predictions.values for _, predictions in models)]
    known = np.all([np.abs(values.astype(float)) < HUGE for values in every_value], axis=0)
    if not known.any():
        return
    actual = truth[known]
    some = np.linspace(0, len(actual) - 1, min(POINTS, len(actual))).astype(int)
    predicted = [(model, predictions.values[known]) for model, predictions in models]
    yield "predicted_actual", [_curve(model, "", actual[some], values[some]) for model, values in predicted]
    residuals = [(model, values, actual - values) for model, values in predicted]
    points = [_curve(model, "", values[some], rest[some]) for model, values, rest in residuals]
    yield "residuals", points + [curve for residual in residuals for curve in _quantiles(*residual)]


def _quantiles(model: Model, values: np.ndarray, residuals: np.ndarray) -> Iterator[Curve]:
    if len(values) < 10 * BANDS:
        return
    bands = np.array_split(np.argsort(values, kind="stable"), BANDS)
    middles = np.array([np.median(values[band]) for band in bands])
    for label, share in QUANTILES.items():
        yield _curve(model, label, middles, np.array([np.quantile(residuals[band], share) for band in bands]))


def _curve(model: Model, label: str, x: np.ndarray, y: np.ndarray) -> Curve:
    return Curve(model, label, *([float(f"{value:.{DIGITS}g}") for value in values] for values in (x, y)))


def draw_pictures(report: Report) -> dict[str, bytes]:
    """Return the report's pictures, `<name>-<theme>.png`, drawn from the report alone."""
    return {
        f"{chart.name}-{theme}.png": draw(paint(chart.svg, colours))
        for chart in make_charts(report)
        for theme, colours in THEMES.items()
    }


def draw(svg: str) -> bytes:
    """Return an SVG as an opaque PNG with a palette, a sixth of the size without; its first pixel keeps its colour."""
    import vl_convert
    from PIL import Image

    drawn = Image.open(io.BytesIO(vl_convert.svg_to_png(svg, scale=SCALE))).convert("RGB")
    few = drawn.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    palette = bytearray(few.getpalette() or [])
    ground = 3 * few.tobytes()[0]  # its mean with what is almost its colour would not be GitHub's
    palette[ground : ground + 3] = drawn.tobytes()[:3]
    few.putpalette(palette)
    packed = io.BytesIO()
    few.save(packed, "png", bits=8, compress_level=8)
    return packed.getvalue()
