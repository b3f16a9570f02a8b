"""Learned local updates: a small network reads what surrounds a patch of sites and draws their new values."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, ClassVar

from pyqmc_art.errors import InputError
from pyqmc_art.lattice.kernels.field import FieldKernel
from pyqmc_art.lattice.kernels.trained import Load, load_model
from pyqmc_art.lattice.patches import cut_patches
from pyqmc_art.ops import continuous
from pyqmc_art.ops.patches import LARGEST, LocalNetwork


class VaeLocal(FieldKernel):
    r"""Coloured sweep by a variational autoencoder of patches; exact however it was trained.

    Given what is around a patch, new values are drawn with latent numbers, z' ~ p(z), y' ~ p(y | z', around), after
    the z of the present values was drawn from the encoder, z ~ r(z | y, around). They are accepted with
    min(1, w(y', z') / w(y, z)), w = exp(-S) r(z | y, around) / (p(z) p(y | z, around)).

    That leaves exp(-S) r(z | y, around) invariant given what is around, and so exp(-S): patches of one colour touch
    none of their colour, hence the way back is proposed by the same network reading the same surroundings.

    Parameters
    ----------
    action : phi^4, or O(2), on a periodic square or hypercubic lattice
    model : directory that ``train vae`` wrote; it must have been trained for this action, the extents are free
    model_digest : of the weights a run was started with; a resumed run refuses others
    network, block : in place of a model: the weights, and the extents of a patch
    load : reads a directory for an action; whoever builds the kernel hands it in, for models live above this layer
    backend, threads : as for every compiled kernel

    Raises
    ------
    InputError
        Without a model or a network, for one that does not fit the action, or a lattice that two colours of patches
        do not close on.

    References
    ----------
    Kingma, Welling, ICLR 2014 (arXiv:1312.6114). Tierney, Ann. Stat. 22 (1994) 1701.

    Examples
    --------
    >>> import numpy as np
    >>> from pyqmc_art.lattice.geometry import Lattice
    >>> from pyqmc_art.lattice.scalar import Phi4
    >>> from pyqmc_art.ops.patches import Network
    >>> flat = Network.join([(np.zeros((2, 4)), np.log([1.0, 0.4]))])
    >>> action = Phi4(Lattice((4, 4)), m2=-4, lam=8)
    >>> VaeLocal(action, network=LocalNetwork(flat, Network.join([]), 0), block=(1, 1)).name
    'vae-local'
    """

    name: ClassVar[str] = "vae-local"
    options: ClassVar[tuple[str, ...]] = ("model", "model_digest")

    def __init__(
        self,
        action: Any,
        model: str | Path = "",
        model_digest: str = "",
        *,
        network: LocalNetwork | None = None,
        block: tuple[int, ...] = (),
        load: Load | None = None,
        backend: str | None = None,
        threads: int | None = None,
    ) -> None:
        self._told: dict[str, str] = {}
        if network is None:
            loaded, self._told = load_model(
                "vae-local", load, model, model_digest, action,
                trainer="train vae", instead="VaeLocal(action, **load_vae(directory, action).kernel_arguments())",
                needs=("kernel_arguments",),
            )  # fmt: skip
            network, block = loaded.network, loaded.block
        self.network, self.block = network, tuple(block)
        super().__init__(action, backend=backend, threads=threads)

    def _prepare(self) -> None:
        super()._prepare()
        c = self.action.components
        if c > 2:
            raise InputError(f"learned local updates are there for phi4 and for on with n 2, not for n {c}")
        self._patches = cut_patches(self.action.lattice, self.block)
        size, rim = self._patches.members.shape[2], self._patches.around.shape[2]
        latents = self.network.latents
        if size > LARGEST["size"] or rim > LARGEST["rim"] or not 0 <= latents <= LARGEST["latents"]:
            raise InputError(
                f"a block of {self.block} has {size} sites and {rim} bonds outwards, and there are {latents} latents; "
                f"at most {LARGEST['size']}, {LARGEST['rim']} and {LARGEST['latents']} fit"
            )
        shapes = {"decoder": (c * rim + latents, 2 * size)}
        if latents:
            shapes["encoder"] = (c * (rim + size), 2 * latents)
        for name, (inputs, outputs) in shapes.items():
            sizes = getattr(self.network, name).sizes
            if len(sizes) < 2 or (sizes[0], sizes[-1]) != (inputs, outputs):
                raise InputError(
                    f"the {name} maps {sizes[0]} numbers to {sizes[-1]}; a block of {self.block} with {latents} "
                    f"latents needs {inputs} to {outputs}"
                )

    def configuration(self) -> dict[str, Any]:
        """The kernel's name, the directory of its model and the digest of its weights."""
        return {"kernel": self.name, **self._told}

    def _run(self, batch: continuous.FieldBatch) -> None:
        self._operations.patch_steps(batch, self._patches, self.network)

    def _passes(self) -> int:
        """A network costs about as much as so many plain updates."""
        return max(1, math.ceil(self.network.decoder.weights.size / (32 * math.prod(self.block))))


__all__ = ["VaeLocal"]
