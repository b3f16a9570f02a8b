"""What a picture is in an experiment: the eight roles, and the other words people use for them."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from pyqmc_art.errors import InputError, unknown

ROLES: Final = ("original", "proxy", "forgery", "raw-gan", "tuned-gan", "diffusion", "other-machine", "photo")
MACHINE_ROLES: Final = ("raw-gan", "tuned-gan", "diffusion", "other-machine")

_SYNONYMS: Final = {
    "originals": "original", "authentic": "original", "authentics": "original", "genuine": "original",
    "painting": "original", "paintings": "original",
    "proxies": "proxy", "similar": "proxy", "contrast": "proxy", "other-art": "proxy",
    "forgeries": "forgery", "forged": "forgery", "human-forgery": "forgery", "human-forgeries": "forgery",
    "raw-gans": "raw-gan", "gan-raw": "raw-gan", "untuned-gan": "raw-gan",
    "tuned-gans": "tuned-gan", "gan-tuned": "tuned-gan", "finetuned-gan": "tuned-gan",
    "stable-diffusion": "diffusion", "diffusions": "diffusion",
    "ai": "other-machine", "generated": "other-machine", "synthetic": "other-machine", "machine": "other-machine",
    "photos": "photo", "photograph": "photo", "photographs": "photo",
}  # fmt: skip

_UNKNOWN_HANDS: Final = frozenset({"", "unknown", "unknown artist", "anonymous", "n a", "none"})


def find_role(word: str) -> str | None:
    """Give the role a word stands for, or None.

    Examples
    --------
    >>> find_role("Originals"), find_role("raw_gan"), find_role("portrait")
    ('original', 'raw-gan', None)
    """
    key = re.sub(r"[\s_-]+", "-", word.strip().casefold())
    return key if key in ROLES else _SYNONYMS.get(key)


def resolve_role(word: str) -> str:
    """Give the role a word stands for.

    Raises
    ------
    InputError
        For any other word, naming the nearest role.
    """
    role = find_role(word)
    if role is None:
        raise unknown("role", word, ROLES)
    return role


def hand_key(name: str) -> str:
    """Reduce a name to what comparisons look at: lower case, no accents, words separated by one space.

    Examples
    --------
    >>> hand_key("Édouard_Manet") == hand_key("edouard  manet")
    True
    """
    plain = "".join(c for c in unicodedata.normalize("NFKD", name.casefold()) if not unicodedata.combining(c))
    key = " ".join(re.findall(r"\w+", plain.replace("_", " ")))
    return "" if key in _UNKNOWN_HANDS else key


def resolve_hand(name: str, known: dict[str, int]) -> str:
    """Find a hand among the known ones by its name, or by some of its words when only one hand has them all.

    Raises
    ------
    InputError
        When no hand or more than one has the words.
    """
    wanted = hand_key(name)
    same = [hand for hand in known if hand_key(hand) == wanted]
    if same:
        return same[0]
    near = [hand for hand in known if wanted and set(wanted.split()) <= set(hand_key(hand).split())]
    if len({hand_key(hand) for hand in near}) == 1:
        return near[0]
    if near:
        raise InputError(f"hand {name!r} may be any of {', '.join(sorted(near))}; give the whole name")
    if not known:
        raise InputError(f"no row names a hand, {name!r} neither; fill in the column hand of the manifest")
    raise unknown("hand", name, known)
