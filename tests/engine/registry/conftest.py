from clones import clean_environment, clone, desk, filled, origin, publisher, run_verb
from releases import own, versioned
from runs import begun, merged, trained, unpublished

__all__ = [
    "begun",
    "clean_environment",
    "clone",
    "desk",
    "filled",
    "merged",
    "origin",
    "own",
    "publisher",
    "run_verb",
    "trained",
    "unpublished",
    "versioned",
]
