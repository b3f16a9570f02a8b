"""What all commands that train take in common, and what they do before they train.

Annotations are objects here, not text: the command line looks at them from the modules of the sub-classes.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

from cyclopts import Parameter

from pyqmc_art import options
from pyqmc_art.backends import default_threads
from pyqmc_art.errors import InputError

if TYPE_CHECKING:
    from pyqmc_art.lattice.scalar import Phi4

MANY: Final = options.MANY
ALL: Final = Parameter(name="*")
_Flags = TypeVar("_Flags", bound="TrainFlags")


@dataclass(frozen=True, kw_only=True)
class TrainFlags:
    """Where to, how steadily, and with what.

    Parameters
    ----------
    out
        Model directory to write.
    checkpoint_every
        Steps between checkpoints.
    device
        auto or cpu.
    seed
        Of everything random.
    threads
        Default: OMP_NUM_THREADS, or else all cores.
    resume
        Go on with an interrupted training of the same --out.
    force
        Replace the model that is there.
    """

    out: Path | None = None
    checkpoint_every: Annotated[int, options.WHOLE] = 500
    device: str = "auto"
    seed: Annotated[int, options.WHOLE] = 0
    threads: Annotated[int | None, options.WHOLE] = None
    resume: bool = False
    force: bool = False

    @property
    def cores(self) -> int:
        """Threads to use."""
        return self.threads or default_threads()


@dataclass(frozen=True, kw_only=True)
class FieldFlags(TrainFlags):
    """And from which fields of phi4.

    Parameters
    ----------
    shape
        Extents of the lattice, periodic.
    m2
        Squared mass of phi4.
    lam
        Quartic coupling of phi4.
    convention
        A, B, C or D, of phi4.
    steps
        Of the optimiser.
    train_batch_size
        Examples of one step.
    learning_rate
        Largest one; it falls as a cosine.
    """

    shape: Annotated[tuple[int, ...] | None, MANY, options.WHOLE] = None
    m2: float | None = None
    lam: float | None = None
    convention: str = "A"
    steps: Annotated[int, options.WHOLE] = 1000
    train_batch_size: Annotated[int, options.WHOLE] = 256
    learning_rate: float = 3e-3

    @property
    def scalar(self) -> "Phi4":
        """The action, its couplings given."""
        from pyqmc_art.lattice.geometry import Lattice
        from pyqmc_art.lattice.scalar import Phi4

        return Phi4(Lattice(self.shape or ()), self.m2 or 0.0, self.lam or 0.0, self.convention)


def settle(settings: _Flags, config: Path | None, examples: Mapping[str, str]) -> _Flags:
    """Join flags and a configuration file, and require what is needed.

    Parameters
    ----------
    settings, config : the flags and the file
    examples : flag that is needed -> what may be given

    Raises
    ------
    InputError
        When something needed is missing.
    """
    given, _ = options.settle(settings, config)
    chosen = dataclasses.replace(type(settings)(), **given)
    require(chosen, examples)
    return chosen


def require(chosen: TrainFlags, examples: Mapping[str, str]) -> None:
    """Refuse flags of which a needed one is missing.

    Raises
    ------
    InputError
        Naming it, with an example.
    """
    for key, example in examples.items():
        if getattr(chosen, key) is None:
            raise InputError(f"no {key} was given; for instance --{key} {example}")


def show(chosen: Any) -> int:
    """Print the resolved configuration; the exit status."""
    print(options.as_toml(dataclasses.asdict(chosen)))
    return 0


@contextmanager
def needing(command: str, extras: str) -> Iterator[None]:
    """Say which extras bring what a command cannot import.

    Raises
    ------
    InputError
        For an import that fails inside the ``with`` block.
    """
    try:
        yield
    except ImportError as reason:
        raise InputError(f"{command} needs {reason.name}; pip install 'pyqmc-art[{extras}]'") from reason


def announce(text: str) -> None:
    """Tell at once what will be done."""
    print(text, flush=True)
