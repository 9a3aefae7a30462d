"""`python -m bisect_convert` is the command."""

import sys

from bisect_convert.cli.command import main

if __name__ == "__main__":
    sys.exit(main())
