"""`python -m rmaat` is the command `rmaat`."""

import sys

from rmaat.cli import main

sys.exit(main())
