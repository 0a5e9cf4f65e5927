"""The curves of one class's scores, against what counting gives."""

import numpy as np
import pytest
from mlops_actions.stats.curves import GRID, calibration, precision_recall, roc
from sklearn.metrics import average_precision_score, roc_auc_score

HIT = np.random.default_rng(0).random(2000) < 0.3
SCORES = (0.3 * HIT + 0.7 * np.random.default_rng(1).random(2000)).round(3)


def test_the_area_under_a_curve_is_the_metric() -> None:
    false_positives, true_positives = roc(HIT, SCORES)
    assert false_positives is GRID
    assert np.trapezoid(true_positives, GRID) == pytest.approx(roc_auc_score(HIT, SCORES), abs=0.003)
    recalls, precisions = precision_recall(HIT, SCORES)
    assert recalls is GRID
    assert np.trapezoid(precisions, GRID) == pytest.approx(average_precision_score(HIT, SCORES), abs=0.02)


def test_a_precision_is_the_best_that_still_reaches_its_recall() -> None:
    _, precisions = precision_recall(HIT, SCORES)
    for place in (0, 25, 50, 100):
        chosen = [cut <= SCORES for cut in np.unique(SCORES)]
        reaching = [HIT[rows].mean() for rows in chosen if HIT[rows].sum() / HIT.sum() >= GRID[place] - 1e-12]
        assert precisions[place] == pytest.approx(max(reaching))


def test_calibration_counts_each_filled_bin() -> None:
    hit = np.array([True, False, True, True])
    predicted, observed, rows = calibration(hit, np.array([0.05, 0.07, 0.55, 1.0]))
    assert predicted == pytest.approx([0.06, 0.55, 1.0])
    assert observed.tolist() == [0.5, 1, 1] and rows.tolist() == [2, 1, 1]
