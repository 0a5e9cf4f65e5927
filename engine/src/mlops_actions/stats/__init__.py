"""What a model's predictions are worth, and how sure that is: metrics, intervals, sequential bounds, verdicts."""
