"""One module a DVC stage, in the order data flows: prepare, featurize, train, evaluate, export."""
