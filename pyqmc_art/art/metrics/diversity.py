r"""How different pictures of one set are: mean perceptual distance of pairs, in the manner of LPIPS.

.. math:: d(x, y) = \sum_l \frac{1}{P_l} \sum_p |\hat f^l_p(x) - \hat f^l_p(y)|^2

with the features of layer l normalised at each place p. LPIPS itself weighs channels by what people said of pairs seen
by one certain network; here all count alike, so numbers are not those of LPIPS.

References
----------
R. Zhang, P. Isola, A. Efros, E. Shechtman, O. Wang, CVPR 2018 (arXiv:1801.03924), equation 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.art.metrics.vision import Floats, Images, Vision
from pyqmc_art.errors import InputError
from pyqmc_art.rng import Stream
from pyqmc_art.stats.estimate import Estimate


def find_perceptual_distance(first: list[NDArray[np.float32]], second: list[NDArray[np.float32]]) -> Floats:
    """Distances of pairs of images from their maps (n, channels, places), layer by layer, shape (n,).

    Examples
    --------
    >>> one, other = np.zeros((1, 2, 3), np.float32), np.zeros((1, 2, 3), np.float32)
    >>> one[:, 0], other[:, 1] = 1.0, 5.0
    >>> find_perceptual_distance([one], [other]).tolist()
    [2.0]
    """
    total = np.zeros(len(first[0]))
    for x, y in zip(first, second, strict=True):
        total += np.square(_normalised(x) - _normalised(y)).sum(axis=1).mean(axis=1)
    return total


def estimate_diversity(images: Images, vision: Vision, stream: Stream, most: int = 400) -> Estimate:
    """Mean perceptual distance of random pairs in which no image stands twice, so that pairs are independent.

    Parameters
    ----------
    images : uint8 (n, h, w, 3)
    vision : what looks at them
    stream : of the pairs
    most : images that are looked at

    Raises
    ------
    InputError
        For fewer than four images.
    """
    if len(images) < 4:
        raise InputError(f"{len(images)} images; expected at least four, or there are no two pairs")
    order = np.random.default_rng(stream.fold("pairs").key).permutation(len(images))[: min(most, len(images)) // 2 * 2]
    maps = vision.maps(images[order])
    found = find_perceptual_distance([layer[0::2] for layer in maps], [layer[1::2] for layer in maps])
    return Estimate(float(found.mean()), float(found.std(ddof=1) / np.sqrt(len(found))), n=len(found))


def _normalised(x: NDArray[np.float32]) -> Floats:
    length = np.sqrt(np.square(x.astype(np.float64)).sum(axis=1, keepdims=True))
    return np.asarray(x / np.maximum(length, 1e-10), np.float64)
