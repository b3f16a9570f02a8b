"""A simulation code of somebody else, compiled against the installed pyqmc_art."""

from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

import pyqmc_art

farm = Extension("spinfarm", ["spinfarm.pyx"], include_dirs=[pyqmc_art.get_include()], language="c++")
# Cython looks for pyqmc_art/capi.pxd along sys.path, where an editable installation need not be.
setup(ext_modules=cythonize([farm], include_path=[str(Path(pyqmc_art.__file__).parents[1])], language_level=3))
