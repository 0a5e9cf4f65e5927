"""What the prediction log and the truths say of the versions that answer, and what follows from it."""
