"""``python -m bpftop``."""

import sys

from bpftop.cli import main

if __name__ == "__main__":
    sys.exit(main())
