"""Verdicts on many pictures by one model: files found, judged one after the other, told in words and as JSON."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyqmc_art.art.detectors.catalogue import load_detector
from pyqmc_art.art.judging import Judge, Opinion
from pyqmc_art.art.layouts import list_pictures
from pyqmc_art.art.pictures import UnreadablePicture, read_each
from pyqmc_art.art.verdicts import HAND, MACHINE, NONE, OTHER
from pyqmc_art.art.wording import align, say_odds, show_hand
from pyqmc_art.backends import use_threads
from pyqmc_art.errors import InputError
from pyqmc_art.monitor import Silent
from pyqmc_art.protocols import Monitor


@dataclass(frozen=True)
class Judgement:
    """Opinions on works, and what could not be judged.

    Attributes
    ----------
    model : directory of the model
    digest : sha256 of the model's ``config.json``, which holds the checksums of its other files
    judge : who judged
    opinions : one a readable picture
    problems : pictures that could not be judged, with the reason
    """

    model: Path
    digest: str
    judge: Judge
    opinions: tuple[Opinion, ...]
    problems: tuple[UnreadablePicture, ...]

    def to_json(self) -> list[dict[str, Any]]:
        """One object a work with the keys ``work, log_odds, interval, verdict, votes, warnings``."""
        return [one.verdict.to_json() for one in self.opinions]

    @property
    def hand(self) -> str:
        """Name of the hand in question."""
        return show_hand(self.judge.hand)

    def explain(self, opinion: Opinion) -> str:
        """Say a verdict in a sentence."""
        return explain(opinion, self.hand)

    def summary(self) -> str:
        """Tell all verdicts in plain text."""
        rows = [("work", "log-odds", "95 % interval", "verdict", "votes")]
        for one in self.opinions:
            low, high = one.verdict.interval
            votes = f"{one.verdict.votes[0]} : {one.verdict.votes[1]}"
            rows.append((one.verdict.work, f"{one.verdict.log_odds:+.2f}", f"[{low:+.2f}, {high:+.2f}]",
                         one.verdict.verdict, votes))  # fmt: skip
        parts = [_introduce(self), align(rows)] if self.opinions else [_introduce(self), "nothing could be judged"]
        for one in self.opinions:
            parts.append(f"\n{one.verdict.work}: {self.explain(one)}")
            parts += [f"  - {warning}" for warning in one.verdict.warnings]
        return "\n".join(parts)


def judge(
    model: str | os.PathLike[str],
    *pictures: str | os.PathLike[str],
    prior: float = 0.5,
    prior_human: float = 0.5,
    threads: int | None = None,
    monitor: Monitor | None = None,
) -> Judgement:
    """Judge pictures by a trained detector.

    Parameters
    ----------
    model : directory that a training wrote
    pictures : files, and folders that are searched, all below included, in the order of the names
    prior : your probability, before looking, that a human work is by the hand
    prior_human : your probability, before looking, that a work is by a human
    threads : None takes the default
    monitor : what a person sees

    Returns
    -------
    Judgement; what cannot be read stands in its ``problems``

    Raises
    ------
    InputError
        For a model that cannot be used, a prior that is none, no pictures, or a folder without any.
    """
    who = Judge(load_detector(model), prior, prior_human)
    paths, problems = find_pictures(pictures)
    with use_threads(threads), _limit_torch(who, threads):
        opinions, unusable = _judge_all(who, paths, monitor or Silent())
    place = Path(model)
    digest = hashlib.sha256((place / "config.json").read_bytes()).hexdigest()
    return Judgement(place, digest, who, tuple(opinions), (*problems, *unusable))


def _judge_all(who: Judge, paths: Sequence[Path], watch: Monitor) -> tuple[list[Opinion], list[UnreadablePicture]]:
    opinions: list[Opinion] = []
    problems: list[UnreadablePicture] = []
    watch.start("judging", len(paths))
    try:
        for found in read_each(paths):
            try:
                if isinstance(found, UnreadablePicture):
                    raise found
                opinions.append(who.judge(found))
            except UnreadablePicture as error:
                problems.append(error)
            watch.advance(1)
    finally:
        watch.finish()
    return opinions, problems


def _limit_torch(who: Judge, threads: int | None) -> AbstractContextManager[None]:
    """Bound the threads of a network; other detectors need no torch."""
    if threads is None or who.detector.kind != "network":
        return nullcontext()
    from pyqmc_art.learning.threads import limit_torch

    return limit_torch(threads)


def find_pictures(targets: Sequence[str | os.PathLike[str]]) -> tuple[list[Path], list[UnreadablePicture]]:
    """Find the pictures among files and in folders, each once; name folders without any.

    Raises
    ------
    InputError
        When there is nothing to judge at all.
    """
    found: list[Path] = []
    problems: list[UnreadablePicture] = []
    for target in map(Path, targets):
        try:
            found += list_pictures(target) if target.is_dir() else [target]
        except InputError:
            problems.append(UnreadablePicture(target, "there are no pictures in this folder"))
    if not found:
        raise InputError("\n".join(map(str, problems)) or "no picture was given")
    return list(dict.fromkeys(found)), problems


def explain(opinion: Opinion, hand: str) -> str:
    """Say a verdict in a sentence, with odds instead of logarithms."""
    verdict = opinion.verdict
    low, high = verdict.interval
    odds = f"odds {say_odds(verdict.log_odds)}, 95 % interval {say_odds(low)} to {say_odds(high)}"
    side = "for" if verdict.log_odds > 0 else "against"
    if verdict.verdict == HAND:
        return f"the evidence speaks for {hand} ({odds})."
    if verdict.verdict == OTHER:
        return f"the evidence speaks against {hand}: another hand ({odds})."
    if verdict.verdict == MACHINE and verdict.human is not None:
        made = f"odds of human against machine {say_odds(verdict.human.value)}"
        return f"the evidence speaks for a machine ({made}), hence against {hand} ({odds})."
    reasons = [one.removeprefix("no verdict: ") for one in verdict.warnings if one.startswith("no verdict: ")]
    why = f": {_say_reason(reasons[0])}" if reasons else ""
    return f"no verdict{why}. Taken alone, the log-odds are {side} {hand} ({odds})."


_PLAINLY = (
    ("the hand is open", "the interval of the odds reaches from one side to the other"),
    ("human or machine is open", "it stays open whether a human or a machine made it"),
    ("neither human nor machine", "both human and machine-made works score like this one"),
    ("neither the hand nor others", "both works of the hand and works of others score like this one"),
    ("the outcome changes under re-encoding", "the outcome changes when the picture is encoded or cropped otherwise"),
    ("the model may not", "on held-out works the model did no better than a baseline that sees no brush"),
    ("a crop, another photograph", "the model was trained on nearly this picture"),
    ("unlike the training works", "it is unlike the works that the model was trained on"),
)
"""Words of the reasons that verdicts give, and how a sentence puts them."""


def _say_reason(reason: str) -> str:
    return next((plain for words, plain in _PLAINLY if words in reason), reason)


def _introduce(judgement: Judgement) -> str:
    line = judgement.judge.bench.hand
    counts = {name: 0 for name in (HAND, OTHER, MACHINE, NONE)}
    for one in judgement.opinions:
        counts[one.verdict.verdict] += 1
    told = ", ".join(f"{name} {n}" for name, n in counts.items() if n)
    prior = judgement.judge.bench.prior
    return (
        f"{judgement.hand} or not: judged by {judgement.model}, calibrated on {line.positives} v {line.negatives} "
        f"works; prior probability {prior:g}\n{told}".rstrip()
    )
