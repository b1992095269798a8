"""``python -m fullgrad_lightning.cli``."""

import sys

from fullgrad_lightning.cli import main

sys.exit(main())
