"""The curves of one class's scores, drawn alike by the evaluate stage and in the report."""

import numpy as np

GRID = np.linspace(0, 1, 101)
BINS = 10


def roc(hit: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return GRID as false positive rates, and the true positive rate at each; `hit` has both outcomes."""
    from sklearn.metrics import roc_curve

    false_positives, true_positives, _ = roc_curve(hit, scores)
    return GRID, np.interp(GRID, false_positives, true_positives)


def precision_recall(hit: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return GRID as recalls, and the best precision that still reaches each; `hit` has both outcomes."""
    from sklearn.metrics import precision_recall_curve

    precision, recall, _ = precision_recall_curve(hit, scores)
    best = np.maximum.accumulate(precision[np.argsort(recall, kind="stable")][::-1])[::-1]
    return GRID, best[np.searchsorted(np.sort(recall), GRID - 1e-12)]


def calibration(hit: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the mean score, the share of hits and the rows of each filled one of BINS equally wide bins."""
    bins = np.minimum((scores * BINS).astype(int), BINS - 1)
    filled = np.unique(bins)
    means = [(scores[bins == number].mean(), hit[bins == number].mean(), (bins == number).sum()) for number in filled]
    predicted, observed, rows = zip(*means, strict=True)
    return np.array(predicted), np.array(observed), np.array(rows)
