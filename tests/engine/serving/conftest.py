from clones import clean_environment, clone, desk, filled, origin, run_verb
from releases import own, versioned

__all__ = ["clean_environment", "clone", "desk", "filled", "origin", "own", "run_verb", "versioned"]
