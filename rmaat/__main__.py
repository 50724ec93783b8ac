"""`python -m rmaat` runs the `rmaat` command."""

import sys

from rmaat.cli import main

sys.exit(main())
