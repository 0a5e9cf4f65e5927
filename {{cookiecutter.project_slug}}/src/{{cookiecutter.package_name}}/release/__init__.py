"""What a merge does: the version, the model card, the release."""
