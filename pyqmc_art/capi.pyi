"""What ``pyqmc_art/capi.pyx`` shows to Python; ``capi.pxd`` declares what Cython code can cimport."""

from typing import Final

VERSION: Final[int]
