"""A page of verdicts: for each work the picture with its map, the evidence on a scale, and every reason to doubt."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from pyqmc_art.art.judgement import Judgement
from pyqmc_art.art.judging import Opinion
from pyqmc_art.art.roles import ROLES
from pyqmc_art.art.verdicts import HAND, NONE, VERDICTS
from pyqmc_art.art.wording import count, say_odds, show_hand
from pyqmc_art.errors import InputError
from pyqmc_art.report.figures import write_atomically
from pyqmc_art.report.palette import DARK, LIGHT
from pyqmc_art.report.verdict_parts import TONES, Scale, draw_maps, embed_grey, signed
from pyqmc_art.store import provenance

LIMITS: Final = (
    "The model knows nothing but pixels. Provenance, pigments, canvas, signature and history are not looked at, and "
    "weigh more.",
    "It was asked one question: more like the works of the hand it was shown, or more like the others? A forger or a "
    "pupil who is not among the others may well look like the hand.",
    "The odds hold for the prior probability stated above. Whoever thinks the hand less likely to begin with must "
    "multiply the odds accordingly.",
    "The interval covers the uncertainty of the calibration from few works. It does not cover a wrong label among the "
    "training works, or a picture made in a way that none of them was.",
    "The map shows where the model found its reasons, not what an eye should see there. Neighbouring cells are not "
    "independent, and a cell alone is weak evidence.",
    "“No verdict” is an answer: the training works do not decide this one.",
)


def choose_place(report: str | os.PathLike[str], force: bool = False) -> Path:
    """Find where a report is to be written: the .html file itself, or index.html in a folder.

    Raises
    ------
    InputError
        When there is something already and ``force`` is not given, or no folder can lie there.
    """
    given = Path(report)
    place = given if given.suffix.lower() in (".html", ".htm") else given / "index.html"
    if place.is_dir():
        raise InputError(f"{place} is a folder; give a .html file, or the folder that the report goes into")
    above = next(folder for folder in place.absolute().parents if folder.exists())
    if not above.is_dir():
        raise InputError(f"{above} is a file; the report {place} needs a folder to lie in")
    taken = next((path for path in (place, place.with_suffix(".json")) if path.exists()), None)
    if taken is not None and not force:
        raise InputError(f"{taken} exists; choose another --report, or --force to replace it")
    return place


def write_report(judgement: Judgement, place: str | os.PathLike[str]) -> Path:
    """Write the page, and beside it a JSON file with all details.

    Parameters
    ----------
    judgement : from :func:`pyqmc_art.art.judgement.judge`
    place : the .html file; from :func:`choose_place`

    Raises
    ------
    StoreError
        When a file cannot be written.
    """
    target = Path(place)
    made = provenance.collect()
    details = json.dumps(describe(judgement, made), indent=1, ensure_ascii=False, allow_nan=False)
    write_atomically(target.with_suffix(".json"), (details + "\n").encode())
    write_atomically(target, render(judgement, made, target).encode())
    return target


def describe(judgement: Judgement, made: Mapping[str, object]) -> dict[str, Any]:
    """Give everything that is known about a judgement as JSON values."""
    facts = judgement.judge.detector.facts
    return {
        "hand": judgement.hand,
        "model": {
            "folder": str(judgement.model),
            "sha256": judgement.digest,
            "kind": judgement.judge.detector.kind,
            "extractor": judgement.judge.detector.extractor.configuration(),
            "options": facts.get("options"),
            "works": facts.get("works"),
            "roles": facts.get("roles"),
            "contrasts": facts.get("contrasts"),
            "claims": facts.get("claims"),
            "rehearsal": facts.get("rehearsal"),
        },
        "made": dict(made),
        "works": [one.to_json() for one in judgement.opinions],
        "problems": [{"path": str(one.path), "reason": one.reason} for one in judgement.problems],
    }


def render(judgement: Judgement, made: Mapping[str, object], place: Path) -> str:
    """Return the page that :func:`write_report` writes to a place; its links start from there."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("pyqmc_art.report", "templates"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["capitalize_first"] = lambda text: text[:1].upper() + text[1:]
    opinions = judgement.opinions
    scale = Scale.of(
        value for one in opinions for value in (*one.verdict.interval, *_tried(one).values(), one.verdict.log_odds)
    )
    found = Counter(one.verdict.verdict for one in opinions)
    context = {
        "hand": judgement.hand,
        "light": LIGHT,
        "dark": DARK,
        "ticks": scale.ticks(),
        "total": count(len(opinions), "work"),
        "tally": [(name, TONES[name], found[name]) for name in VERDICTS if found[name]],
        "works": [_work(judgement, one, number, scale) for number, one in enumerate(opinions, 1)],
        "problems": [(one.path.name, one.reason) for one in judgement.problems],
        "model": _model(judgement),
        "limits": LIMITS,
        "prior": _prior(judgement),
        "provenance": _provenance(judgement, made),
        "details": place.with_suffix(".json").name,
        "list": quote(os.path.relpath(judgement.model / "works.jsonl", place.parent)),
        "date": str(made.get("date", ""))[:10],
    }
    return environment.get_template("verdicts.html.jinja").render(context)


def _work(judgement: Judgement, opinion: Opinion, number: int, scale: Scale) -> dict[str, Any]:
    verdict = opinion.verdict
    reasons = [one.removeprefix("no verdict: ") for one in verdict.warnings if one.startswith("no verdict: ")]
    return {
        "id": f"w{number}",
        "name": opinion.path.stem.replace("_", " "),
        "file": str(opinion.path),
        "verdict": verdict.verdict,
        "tone": TONES[verdict.verdict],
        "sentence": judgement.explain(opinion),
        "place": scale.place(verdict.log_odds),
        "bar": scale.bar(*verdict.interval),
        "log_odds": signed(verdict.log_odds, 2),
        "odds": say_odds(verdict.log_odds),
        "interval": f"{say_odds(verdict.interval[0])} to {say_odds(verdict.interval[1])}",
        "map": draw_maps(opinion, len(judgement.opinions)),
        "votes": verdict.votes,
        "human": None if verdict.human is None else say_odds(verdict.human.value),
        "reasons": reasons,
        "doubts": [one for one in verdict.warnings if not one.startswith("no verdict: ")],
        "variants": _variants(opinion, scale),
        "nearest": _nearest(judgement, opinion),
        "held_out": opinion.held_out,
        "facts": _facts(opinion),
    }


def _tried(opinion: Opinion) -> Mapping[str, float]:
    tried = opinion.verdict.stability
    return {} if tried is None else tried.log_odds


def _variants(opinion: Opinion, scale: Scale) -> list[dict[str, Any]]:
    tried = opinion.verdict.stability
    if tried is None:
        return []
    return [
        {"name": name, "place": scale.place(value), "log_odds": signed(value, 2), "flips": name in tried.flips,
         "outcome": tried.outcomes[name]}
        for name, value in tried.log_odds.items()
    ]  # fmt: skip


def _nearest(judgement: Judgement, opinion: Opinion) -> list[dict[str, Any]]:
    prints = judgement.judge.detector.prints
    return [
        {
            "picture": None if prints is None else embed_grey(prints.items[one.number].grey),
            "role": one.entry.role,
            "name": ", ".join(filter(None, (show_hand(one.entry.hand) if one.entry.hand else "", one.entry.title))),
            "path": one.entry.path,
            "distance": f"{one.distance:.2f}",
        }
        for one in opinion.neighbours
    ]


def _facts(opinion: Opinion) -> list[tuple[str, str]]:
    verdict, capture = opinion.verdict, opinion.capture
    quality = f", quality {capture.quality}" if capture.quality else ""
    left, top, right, bottom = (round(x) for x in opinion.region)
    facts = [
        ("file", f"{capture.format}{quality}, {capture.width} × {capture.height} pixels"),
        ("sha256", opinion.sha256),
        ("looked at", f"{right - left} × {bottom - top} pixels from ({left}, {top})"),
        ("log-odds", f"{verdict.log_odds:+.3f} [{verdict.interval[0]:+.3f}, {verdict.interval[1]:+.3f}]"),
        ("patches", f"{verdict.votes[0]} for, {verdict.votes[1]} against"),
        ("spread", f"{verdict.spread:.2f} between patches"),
        ("sharpness", f"{capture.sharpness:.2f}"),
    ]  # fmt: skip
    if verdict.human is not None:
        facts.append(("human or machine", f"log-odds {verdict.human}"))
    if verdict.distance is not None:
        facts.append(("unlike the training works?", str(verdict.distance)))
    return facts


def _model(judgement: Judgement) -> dict[str, Any]:
    who = judgement.judge
    facts = who.detector.facts
    makers: Counter[tuple[str, str]] = Counter()
    for _, role, name in {(one.work, one.role, one.hand) for one in who.entries}:
        makers[(role, show_hand(name) if name else "")] += 1
    rehearsal = who.rehearsal
    order = sorted(makers.items(), key=lambda item: (ROLES.index(item[0][0]), -item[1], item[0][1]))
    return {
        "works": [(role, name, n) for (role, name), n in order],
        "list": str(judgement.model / "works.jsonl"),
        "verdicts": VERDICTS,
        "rehearsal": []
        if rehearsal is None
        else [
            (role, sum(own.values()), [own.get(name, 0) for name in VERDICTS], str(rehearsal.rate(role, HAND)))
            for role, own in rehearsal.counts.items()
        ],
        "claims": [_claim(one) for one in facts.get("claims", ())],
        "distrust": who.refusals,
        "calibration": who.bench.hand.reason
        or f"The odds are calibrated on held-out works: {who.bench.hand.positives} of the hand against "
        f"{who.bench.hand.negatives} others.",
        "abstained": None if rehearsal is None else _share(rehearsal.counts.values(), NONE),
    }


def _share(counts: Any, name: str) -> str:
    total = sum(sum(own.values()) for own in counts)
    return f"{sum(own.get(name, 0) for own in counts)} of {total}"


def _claim(record: Mapping[str, Any]) -> dict[str, Any]:
    auc = record["auc"]
    return {
        "against": "all others" if record["against"] == "all" else record["against"],
        "works": f"{auc['positives']} v {auc['negatives']}",
        "auc": _interval(auc),
        "baselines": {name: _interval(one) for name, one in record["baselines"].items()},
        "status": record["status"],
        "tone": {"supported": "good", "refused": "bad"}.get(record["status"], "doubtful"),
        "reasons": "; ".join(record["reasons"]),
    }


def _interval(score: Mapping[str, Any]) -> str:
    return f"{score['value']:.2f} [{score['low']:.2f}, {score['high']:.2f}]"


def _prior(judgement: Judgement) -> str:
    bench = judgement.judge.bench
    text = f"Prior probability of the hand, given that a human made the work: {bench.prior:g}."
    if bench.human is not None:
        text += f" Prior probability that a human made it: {bench.prior_human:g}."
    return text


def _provenance(judgement: Judgement, made: Mapping[str, object]) -> list[tuple[str, str]]:
    detector = judgement.judge.detector
    stored = detector.facts.get("options", {})
    plan = "none" if detector.preparation is None else json.dumps(detector.preparation.to_json()["equaliser"])
    facts = [
        ("model", str(judgement.model)),
        ("sha256 of its config.json", judgement.digest),
        ("detector", f"{detector.kind}: {json.dumps(detector.extractor.configuration())}"),
        ("equalisation", plan),
        ("seed of the training", str(stored.get("seed", "unknown"))),
    ]
    return facts + [(name, str(value)) for name, value in made.items()]
