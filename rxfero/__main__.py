"""The program: ``python -m rxfero`` is the command line."""

import sys

from rxfero.cli import main

sys.exit(main())
