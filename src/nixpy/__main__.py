"""``python -m nixpy``."""

import sys

from nixpy.cli import main

sys.exit(main())
