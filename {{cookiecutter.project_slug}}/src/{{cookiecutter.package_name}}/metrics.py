"""What a model is worth besides the built-in metrics. Yours to edit.

Each public function is a metric by its name, the greater the better: every run computes it, and `gate` in params.yaml
may name it. It takes the truth (an array, a class name or number a row) and a frame with what `mlops predict` writes
(the column `prediction`, and of classes `probability_<class>`), and returns a number:

    def profit(truth: np.ndarray, predictions: pd.DataFrame) -> float:
        won = (truth == "yes") & (predictions["prediction"] == "yes")
        return float(10 * won.mean() - (predictions["prediction"] == "yes").mean())
"""
