"""`python -m mcusim` is the `mcusim` command."""

import sys

from mcusim.cli import main

if __name__ == "__main__":
    sys.exit(main())
