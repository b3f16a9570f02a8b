"""``python -m pyqmc_art`` is the command ``pyqmc-art``."""

import sys

from pyqmc_art.cli import main

sys.exit(main())
