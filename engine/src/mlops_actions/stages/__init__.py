"""The pipeline: one module a DVC stage, and running those that changed."""
