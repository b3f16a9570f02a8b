"""Learned updates of patches in plain Python: the reference, and (under njit) the Numba fallback.

A patch holds ``size`` sites, and ``rim`` bonds lead out of it to the sites around. Networks are flat tables of numbers
as :class:`pyqmc_art.ops.patches.Network` describes them. The arithmetic is that of ``csrc/kernels/field_patch.hpp``
and ``local_network.hpp``, in the same order.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pyqmc_art.ops.plain import block
from pyqmc_art.ops.plain_fields import measure_when_due
from pyqmc_art.ops.plain_real import circle_at, exp_of, log_of, normals, unit

_SITE = 0
_WIDEST = 20.0
_FARTHEST = 1e3

Words = Any
Array = Any


def between(x: float, limit: float) -> float:
    """x between -limit and limit; what is no number becomes the limit."""
    low = x if x < limit else limit
    return low if low > -limit else -limit


def apply_network(sizes: Array, weights: Array, given: Array) -> Array:
    """Apply all layers: offset plus weighted inputs, bent by x / sqrt(1 + x^2) but for the last."""
    start = 0
    values = given
    for layer in range(len(sizes) - 1):
        inputs, outputs = sizes[layer], sizes[layer + 1]
        out = np.zeros(outputs)
        for j in range(outputs):
            row = start + j * (inputs + 1)
            total = weights[row]
            for i in range(inputs):
                total += weights[row + 1 + i] * values[i]
            out[j] = total if layer == len(sizes) - 2 else total / math.sqrt(1.0 + total * total)
        start += outputs * (inputs + 1)
        values = out
    return values


def find_frame(around: Array) -> tuple[float, float]:
    """Return the frame in which networks see a patch: the sign, or the direction, of the sum of what is around."""
    rim, c = around.shape
    if c == 1:
        total = 0.0
        for e in range(rim):
            total += around[e, 0]
        return (-1.0 if total < 0.0 else 1.0), 0.0
    x, y = 0.0, 0.0
    for e in range(rim):
        x += around[e, 0]
        y += around[e, 1]
    square = x * x + y * y
    length = math.sqrt(square)
    return (x / length, y / length) if square > 1e-30 else (1.0, 0.0)


def turn(frame: tuple[float, float], values: Array) -> None:
    """Bring values of shape (sites, components) into the frame."""
    cosine, sine = frame
    for b in range(values.shape[0]):
        if values.shape[1] == 1:
            values[b, 0] = cosine * values[b, 0]
        else:
            x, y = values[b, 0], values[b, 1]
            values[b, 0] = cosine * x + sine * y
            values[b, 1] = cosine * y - sine * x


def turn_back(frame: tuple[float, float], values: Array) -> None:
    """Bring values back from the frame; unit vectors keep their length."""
    cosine, sine = frame
    for b in range(values.shape[0]):
        if values.shape[1] == 1:
            values[b, 0] = cosine * values[b, 0]
        else:
            x, y = values[b, 0], values[b, 1]
            to_x, to_y = cosine * x - sine * y, cosine * y + sine * x
            length = math.sqrt(to_x * to_x + to_y * to_y)
            values[b, 0] = to_x / length
            values[b, 1] = to_y / length


def weigh(out: Array, values: Array, weight: float) -> float:
    """Take log p(values) off a log weight, given the outputs of the decoder."""
    size, c = values.shape
    for b in range(size):
        if c == 1:
            spread = between(out[size + b], _WIDEST)
            off = (values[b, 0] - out[b]) / exp_of(spread)
            weight += 0.5 * (off * off) + spread
        else:
            p, q = between(out[2 * b], _FARTHEST), between(out[2 * b + 1], _FARTHEST)
            length = math.sqrt(1.0 + (p * p + q * q))
            x, y = values[b, 0] - p / length, values[b, 1] - q / length
            weight += log_of((1.0 + (p * p + q * q)) * (x * x + y * y))
    return weight


def fill_noise(key: Words, replica: int, step: int, colour: int, patch: int, noise: Array) -> None:
    """Fill an array (sites, components) with normal numbers, or with uniform points of the circle."""
    size, c = noise.shape
    for b in range(0, size, 2):
        if c == 1:
            pair = normals(key, _SITE, patch, b + colour, replica, step)
            noise[b, 0] = pair[0]
            if b + 1 < size:
                noise[b + 1, 0] = pair[1]
        else:
            w0, w1, w2, w3 = block(key, _SITE, patch, b + colour, replica, step)
            noise[b, 0], noise[b, 1] = circle_at(unit(w0, w1))
            if b + 1 < size:
                noise[b + 1, 0], noise[b + 1, 1] = circle_at(unit(w2, w3))


def draw(out: Array, noise: Array, values: Array) -> float:
    """Draw ``values`` from noise, given the outputs of the decoder; return -log p of them."""
    size, c = values.shape
    weight = 0.0
    for b in range(size):
        if c == 1:
            spread = between(out[size + b], _WIDEST)
            values[b, 0] = out[b] + exp_of(spread) * noise[b, 0]
            weight += 0.5 * (noise[b, 0] * noise[b, 0]) + spread
        else:
            p, q = between(out[2 * b], _FARTHEST), between(out[2 * b + 1], _FARTHEST)
            length = math.sqrt(1.0 + (p * p + q * q))
            x, y = p / length, q / length
            u, v = noise[b, 0], noise[b, 1]
            re, im = 1.0 + (x * u + y * v), x * v - y * u
            square = re * re + im * im
            values[b, 0] = ((u + x) * re + (v + y) * im) / square
            values[b, 1] = ((v + y) * re - (u + x) * im) / square
    return weight if c == 1 else weigh(out, values, weight)


def cost(couplings: Array, around: Array, inner: Array, outer: Array, values: Array) -> float:
    """Return the part of S that changes with the values of a patch."""
    g, a, b = couplings[0], couplings[1], couplings[2]
    total = 0.0
    if values.shape[1] == 1:
        for site in range(values.shape[0]):
            square = values[site, 0] * values[site, 0]
            total += square * (a + b * square)
        for k in range(len(inner)):
            off = values[inner[k, 0], 0] - values[inner[k, 1], 0]
            total += g * (off * off)
        for e in range(len(outer)):
            off = values[outer[e], 0] - around[e, 0]
            total += g * (off * off)
        return float(total)
    for k in range(len(inner)):
        one, two = values[inner[k, 0]], values[inner[k, 1]]
        total += one[0] * two[0] + one[1] * two[1]
    for e in range(len(outer)):
        total += values[outer[e], 0] * around[e, 0] + values[outer[e], 1] * around[e, 1]
    return float(-(g * total))


def weigh_latents(
    sizes: Array, weights: Array, around: Array, values: Array, drawn: bool, latent: Array, weight: float
) -> float:
    """Add log r(z | values, around) - log p(z); with ``drawn`` the noise is in ``latent``, which receives z."""
    count = len(latent)
    out = apply_network(sizes, weights, np.concatenate((around.ravel(), values.ravel())))
    for k in range(count):
        spread = between(out[count + k], _WIDEST)
        width = exp_of(spread)
        noise = latent[k] if drawn else (latent[k] - out[k]) / width
        z = out[k] + width * noise if drawn else latent[k]
        weight += 0.5 * (z * z) - (0.5 * (noise * noise) + spread)
        latent[k] = z
    return weight


def update_patch(
    field: Array,
    couplings: Array,
    members: Array,
    rim: Array,
    inner: Array,
    outer: Array,
    latents: int,
    decoder_sizes: Array,
    decoder: Array,
    encoder_sizes: Array,
    encoder: Array,
    key: Words,
    replica: int,
    step: int,
    colour: int,
    patch: int,
) -> bool:
    """Offer new values to one patch of one field; whether they were accepted."""
    size, c = len(members), field.shape[1]
    around, start = np.zeros((len(rim), c)), np.zeros((size, c))
    for e in range(len(rim)):
        around[e] = field[rim[e]]
    for b in range(size):
        start[b] = field[members[b]]
    frame = find_frame(around)
    turn(frame, around)
    turn(frame, start)
    noise, to = np.zeros((size, c)), np.zeros((size, c))
    fill_noise(key, replica, step, colour, patch, noise)
    number = 2 * ((size + 1) // 2) + colour
    fresh, stale = np.zeros(latents), np.zeros(latents)
    for k in range(latents):
        pair = normals(key, _SITE, patch, number, replica, step)
        fresh[k] = pair[0]
        stale[k] = pair[1]
        number += 2
    w0, w1, _, _ = block(key, _SITE, patch, number, replica, step)
    weight_from = 0.0
    if latents > 0:
        weight_from = weigh_latents(encoder_sizes, encoder, around, start, True, stale, weight_from)
    out = apply_network(decoder_sizes, decoder, np.concatenate((around.ravel(), stale)))
    weight_from = weigh(out, start, weight_from)
    if latents > 0:
        out = apply_network(decoder_sizes, decoder, np.concatenate((around.ravel(), fresh)))
    weight_to = draw(out, noise, to)
    if latents > 0:
        weight_to = weigh_latents(encoder_sizes, encoder, around, to, False, fresh, weight_to)
    weight_from -= cost(couplings, around, inner, outer, start)
    weight_to -= cost(couplings, around, inner, outer, to)
    # What is no number passes no comparison.
    if not log_of(1.0 - unit(w0, w1)) < weight_to - weight_from:
        return False
    turn_back(frame, to)
    for b in range(size):
        field[members[b]] = to[b]
    return True


def patch_steps(
    field: Array,
    neighbours: Array,
    width: int,
    couplings: Array,
    key: Words,
    first_replica: int,
    first_step: int,
    steps: int,
    every: int,
    sums: Array,
    tally: Array,
    members: Array,
    around: Array,
    inner: Array,
    outer: Array,
    latents: int,
    decoder_sizes: Array,
    decoder: Array,
    encoder_sizes: Array,
    encoder: Array,
) -> None:
    """Sweeps of learned updates: all patches of one colour, then all of the other."""
    for index in range(field.shape[0]):
        own = couplings[index % len(couplings)]
        for t in range(steps):
            for colour in range(2):
                for patch in range(members.shape[1]):
                    accepted = update_patch(
                        field[index], own, members[colour, patch], around[colour, patch], inner, outer, latents,
                        decoder_sizes, decoder, encoder_sizes, encoder,
                        key, first_replica + index, first_step + t, colour, patch,
                    )  # fmt: skip
                    if accepted:
                        tally[index] += members.shape[2]
            measure_when_due(field, neighbours, width, index, t + 1, every, sums)
