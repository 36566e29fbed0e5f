"""`python -m bench.chaos`."""

import sys

from bench.chaos.drill import main

if __name__ == "__main__":
    sys.exit(main())
