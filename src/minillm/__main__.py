"""`python -m minillm` is the command line."""

import sys

from minillm.cli import main

if __name__ == "__main__":
    sys.exit(main())
