"""The released file, and answering rows with it: in NumPy and ONNX Runtime alone, where the model allows."""
