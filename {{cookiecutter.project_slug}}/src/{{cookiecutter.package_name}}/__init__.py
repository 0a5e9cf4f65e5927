"""This project's model: features.py, model.py and metrics.py; what these share is a further module beside them."""
