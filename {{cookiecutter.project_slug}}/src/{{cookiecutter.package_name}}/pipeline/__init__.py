"""One module a DVC stage, in the order data flows: prepare, history, featurize, train, evaluate, export."""
