"""`python -m minillm.hub` fetches every artefact of the book."""

import sys

from minillm.hub.packages import main

if __name__ == "__main__":
    sys.exit(main())
