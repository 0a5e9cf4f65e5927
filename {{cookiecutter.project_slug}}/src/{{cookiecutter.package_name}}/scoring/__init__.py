"""A released model answering rows with NumPy and ONNX Runtime alone: pandas and scikit-learn stay behind."""
