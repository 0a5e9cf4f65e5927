from clones import clean_environment, clone, desk, filled, origin, publisher, run_verb
from releases import own, versioned
from runs import begun, unpublished

__all__ = [
    "begun",
    "clean_environment",
    "clone",
    "desk",
    "filled",
    "origin",
    "own",
    "publisher",
    "run_verb",
    "unpublished",
    "versioned",
]
