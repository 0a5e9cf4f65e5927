"""`python -m mlops_actions VERB`: the command where no script of it is installed, as from the wheel itself."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
