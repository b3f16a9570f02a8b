"""Which of many pictures a trained detector takes for the work of the hand most readily."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pyqmc_art.errors import InputError
from pyqmc_art.protocols import Monitor


@dataclass(frozen=True)
class Ranking:
    """Keep some of many candidates.

    Parameters
    ----------
    model : directory of a trained detector
    keep : how many candidates are kept, those with the largest log-odds
    threads : of the detector; None takes the default
    """

    model: Path
    keep: int
    threads: int | None = None

    def check(self, candidates: int) -> None:
        """Refuse what cannot be had before anything is made.

        Raises
        ------
        InputError
            For a detector that cannot be used, or when more shall be kept than made.
        """
        from pyqmc_art.art.detectors.catalogue import load_detector
        from pyqmc_art.art.judging import Judge

        if not 1 <= self.keep <= candidates:
            raise InputError(f"keep is {self.keep} of {candidates} candidates; expected 1 to {candidates}")
        Judge(load_detector(self.model))

    def sort(self, paths: Sequence[Path], monitor: Monitor | None = None) -> tuple[tuple[tuple[int, float], ...], str]:
        """Sort pictures by their log-odds, largest first, equal ones in their order.

        Returns
        -------
        Number and log-odds of each picture, and a digest of the detector.

        Raises
        ------
        InputError
            When a picture cannot be judged, for instance because it is too small.
        """
        from pyqmc_art.art.judgement import judge

        found = judge(self.model, *paths, threads=self.threads, monitor=monitor)
        if found.problems:
            raise InputError(f"{len(found.problems)} candidates cannot be judged; {found.problems[0]}")
        odds = [(number, float(one.verdict.log_odds)) for number, one in enumerate(found.opinions)]
        return tuple(sorted(odds, key=lambda pair: -pair[1])), found.digest[:16]
