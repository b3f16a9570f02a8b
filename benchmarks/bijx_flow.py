"""The RealNVP of the other contenders built of bijx's couplings and flax's convolutions, compiled by JAX."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

# One thread, as the other contenders have; JAX reads this when it starts.
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_cpu_multi_thread_eigen=false"

import bijx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

BOUND = 3.0


class Reader(nnx.Module):
    """Circular convolutions: what one colour says about scale and shift of the other."""

    def __init__(self, hidden: Sequence[int], rngs: Any) -> None:
        sizes = [1, *hidden, 2]
        self.layers = nnx.List(
            nnx.Conv(one, two, (3, 3), padding="CIRCULAR", rngs=rngs) for one, two in pairwise(sizes)
        )

    def __call__(self, x: Any) -> Any:
        h = x[..., None]
        for k, layer in enumerate(self.layers):
            h = layer(nnx.leaky_relu(h) if k else h)
        # The scale is bounded as in the plain flow.
        return jnp.stack([BOUND * jnp.tanh(h[..., 0] / BOUND), h[..., 1]], axis=-1)


class BijxFlow:
    """Draws and steps of training, compiled once for each size of a batch."""

    def __init__(self, shape: Sequence[int], layers: int, hidden: Sequence[int], m2: float, lam: float) -> None:
        rngs = nnx.Rngs(0)
        couplings = [
            bijx.GeneralCouplingLayer(
                Reader(hidden, rngs),
                bijx.checker_mask(tuple(shape), bool(k % 2)),
                bijx.ModuleReconstructor(bijx.AffineLinear(rngs=rngs)),
                split=False,
            )
            for k in range(layers)
        ]
        self.flow = bijx.Transformed(bijx.IndependentNormal(tuple(shape), rngs=rngs), bijx.Chain(*couplings))
        self._optimizer = nnx.Optimizer(self.flow, optax.adam(1e-7), wrt=nnx.Param)
        self._number = 0

        def loss(flow: Any, key: Any, n: int) -> Any:
            phi, log_q = flow.sample((n,), rng=key)
            gradient = sum((jnp.roll(phi, 1, axis) - phi) ** 2 for axis in (1, 2))
            return ((gradient + m2 * phi**2 + lam * phi**4).sum((1, 2)) + log_q).mean()

        def step(flow: Any, optimizer: Any, key: Any, n: int) -> Any:
            value, slopes = nnx.value_and_grad(loss)(flow, key, n)
            optimizer.update(flow, slopes)
            return value

        self._draw = nnx.jit(lambda flow, key, n: flow.sample((n,), rng=key), static_argnums=2)
        self._step = nnx.jit(step, static_argnums=3)

    def _key(self) -> Any:
        self._number += 1
        return jax.random.key(self._number)

    def draw(self, n: int) -> tuple[Any, Any]:
        """Draw fields with log q."""
        phi, log_q = self._draw(self.flow, self._key(), n)
        return jax.block_until_ready(phi), log_q

    def train(self, n: int) -> float:
        """One step of Adam on the reverse divergence."""
        return float(self._step(self.flow, self._optimizer, self._key(), n))

    def gap(self) -> float:
        """How far log q of one draw is from the determinant of its Jacobian, in double precision."""
        with jax.enable_x64(True):
            graph, state = nnx.split(self.flow)
            flow = nnx.merge(graph, jax.tree.map(_widen, state))
            z = jax.random.normal(jax.random.key(0), (1, *flow.prior.event_shape), jnp.float64)

            def push(x: Any) -> Any:
                return flow.bijection.forward(x, jnp.zeros(1))[0].ravel()

            jacobian = np.asarray(jax.jacfwd(push)(z), np.float64).reshape(z.size, z.size)
            claimed = -float(flow.bijection.forward(z, jnp.zeros(1))[1][0])
        return abs(float(np.linalg.slogdet(jacobian)[1]) - claimed)


def _widen(value: Any) -> Any:
    """Single precision to double; keys and whole numbers as they are."""
    return value.astype(jnp.float64) if getattr(value, "dtype", None) == jnp.float32 else value
