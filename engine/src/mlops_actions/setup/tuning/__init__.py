"""The search for an estimator's parameters: which are tried, on which folds, and which are kept."""
