from clones import clean_environment, clone, desk, filled, origin, publisher, run_verb
from releases import own, versioned

__all__ = ["clean_environment", "clone", "desk", "filled", "origin", "own", "publisher", "run_verb", "versioned"]
