"""Where the C++ headers lie."""

from __future__ import annotations

from pathlib import Path

from pyqmc_art.errors import PyqmcError


def get_include() -> str:
    """Return the folder of the C++ headers, for the include path of a compiler.

    An installed package carries the headers inside itself; in a checkout, and in an editable installation, they are the
    sources in ``csrc``.

    Returns
    -------
    str
        Folder such that ``#include "core/philox.hpp"`` and ``#include "capi/interface.hpp"`` are found.

    Raises
    ------
    PyqmcError
        If neither folder is there, because something removed the headers from the installation.

    Examples
    --------
    >>> (Path(get_include()) / "core" / "philox.hpp").is_file()
    True
    """
    package = Path(__file__).resolve().parent
    for folder in (package / "include", package.parent / "csrc"):
        if (folder / "capi" / "interface.hpp").is_file():
            return str(folder)
    raise PyqmcError(
        f"no C++ headers in {package / 'include'} nor in {package.parent / 'csrc'}; install pyqmc-art again"
    )
