"""`sweeps best`: which β for each latent size, how sure that is, and how to get the model."""

import argparse
import dataclasses
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bvae.exceptions import ConfigError
from bvae.metrics.scores import ACTIVE, SAMPLED, UDR_NAMES
from sweeps.analysis.budget import Budget, budget
from sweeps.analysis.confirmation import Confirmation, confirmation
from sweeps.analysis.curve import ScoredConfiguration
from sweeps.analysis.latent_sizes import LatentSizes
from sweeps.analysis.sensitivity import Flag, flags
from sweeps.analysis.summary import ByScore, summarize
from sweeps.analysis.table import score_names
from sweeps.analysis.verdict import Judgement
from sweeps.commands.arguments import add_json, add_study
from sweeps.commands.conclude import WIDTH, answer, best_line, next_step, row
from sweeps.labels import NOTHING, interval, number, score_text, shown, span
from sweeps.report.answer import Headline, LineAnswer, headline, line_answers
from sweeps.scoring.udr import refresh
from sweeps.study.study import Study, open_study
from sweeps.study.trials import text
from sweeps.workers.exit_codes import Exit

INTERVAL = "95 % interval"
HEAD = 1  # rows of a table that hold no numbers
DIFFER = "! these differ by representation: latents that encode next to nothing count"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `sweeps best` takes."""
    add_study(parser)
    parser.add_argument("--score", help="by this score instead of the study's objective")
    add_json(parser)


def run(typed: argparse.Namespace) -> int:
    """Print what a study says by its objective or another score."""
    study = open_study(typed.study)
    score = typed.score or study.manifest.objective
    if score in UDR_NAMES:
        study = refresh(study)
    known = score_names(study)
    if score not in {*known, study.manifest.objective}:  # the latter may have yet to come
        there = ", ".join(known) or "none yet"
        raise ConfigError(f"--score {score}: no such score in this study; it has {there}")
    if score not in known and not typed.json:
        print(best_line(study))
        return Exit.COMPLETE
    found = best(study, score=score, every=typed.json)
    print(json.dumps(plain(found)) if typed.json else "\n".join(in_lines(found)))
    return Exit.COMPLETE


@dataclass(frozen=True)
class StudyAnswer:
    """What a study says by one score; `left` is how many trials have not ended.

    Attributes:
        lines: what is known of every latent size that has a best configuration.
        headline: the best configuration of all, None if there is none.
        scores: what every score says.
        confirmation: what fresh seeds say of it, if it is the objective's and there are any.
        flags: configurations that score otherwise by another representation.
    """

    study: Path
    score: str
    left: int
    lines: tuple[LineAnswer, ...]
    headline: Headline | None
    scores: tuple[ByScore, ...]
    budget: Budget
    confirmation: Confirmation | None
    flags: tuple[Flag, ...]


def best(study: Study, *, score: str, every: bool = True) -> StudyAnswer:
    """Return what a study, finished or not, says by a score.

    With `every`, scores on other representations are judged as well.
    """
    read = summarize(study)
    scores = [
        name
        for name in read.charted
        if every or name == score or not name.endswith((SAMPLED, ACTIVE))
    ]
    return StudyAnswer(
        study=study.folder.root,
        score=score,
        left=study.left,
        lines=tuple(line_answers(read, score=score)),
        headline=headline(read, score),
        scores=tuple(read.by_score(scores)),
        budget=budget(read),
        confirmation=confirmation(study) if score == study.manifest.objective else None,
        flags=flags(read.population, score_names=[score]),
    )


def in_lines(found: StudyAnswer) -> Iterator[str]:
    """Say it: the answer, the latent sizes, the scores, the best model, and what is next."""
    if found.headline is None:
        yield "no configuration is complete yet"
        return
    yield from answer(found.headline, found.budget, left=found.left)
    if found.confirmation:
        yield from row("confirmed", str(found.confirmation))
    model = found.headline.model
    again = f"{model.slug} ({found.score} {model.score:.3f}); to train it again:"
    yield from row("model", again)
    yield f"  {model.command}"
    if model.checkpoint:
        yield f"  weights   {shown(found.study / model.checkpoint)}"
    for table in (_of_sizes(found), _of_scores(found)):
        if len(table) > HEAD:
            yield ""
            yield from aligned(table)
    if len(found.scores) > 1 and (best := found.scores[0].judged.best):  # of the objective
        yield f"agrees: β = {number(best.beta)} may be best, too, at {best.latent_dim} latents"
    yield from _flags(found)
    yield ""
    yield from next_step(found.headline, left=found.left)


def _flags(found: StudyAnswer) -> Iterator[str]:
    """Say which best configurations score otherwise by another representation."""
    best_ones = {
        (line.judged.axes, line.scored.latent_dim, line.scored.beta) for line in found.lines
    }
    flagged = [one for one in found.flags if (one.axes, one.latent_dim, one.beta) in best_ones]
    if flagged:
        yield ""
        yield DIFFER
        yield from (f"  {one}" for one in flagged)
    more = len(found.flags) - len(flagged)
    if flagged and more:
        yield f"  and {more} of other configurations, in the report"


def _of_sizes(found: StudyAnswer) -> list[Sequence[str]]:
    """Return a row for the best β of every latent size."""
    names = [axis for axis, _ in found.lines[0].judged.axes]
    head = ["latents", *names, "best β", "may be", found.score, INTERVAL, "seeds", "curve", "fall"]
    return [head, *([*_of_size(line)] for line in found.lines)]


def _of_size(line: LineAnswer) -> Iterator[str]:
    judged, scored = line.judged, line.scored
    yield str(scored.latent_dim)
    yield from (text(value) for _, value in judged.axes)
    yield number(scored.beta)
    among = judged.best_range
    yield NOTHING if among is None else span(among.low, among.high)
    yield from (score_text(scored.mean), interval(scored.low, scored.high), str(scored.n))
    yield from (str(judged.verdict), str(judged.fall or NOTHING))


def _of_scores(found: StudyAnswer) -> list[Sequence[str]]:
    """Return a row for each score."""
    axes = [axis for axis, _ in found.scores[0].judged.axes] if found.scores else []
    head = ["score", "best β", "latents", *axes, "mean", INTERVAL, "curve", "agrees"]
    return [head, *([*_of_score(one)] for one in found.scores)]


def _of_score(one: ByScore) -> Iterator[str]:
    scored = one.judged.best
    if scored is None:
        raise TypeError("expected a score with a best configuration")
    yield from (scored.score, number(scored.beta), str(scored.latent_dim))
    yield from (text(value) for _, value in one.judged.axes)
    yield from (score_text(scored.mean), interval(scored.low, scored.high))
    yield from (str(one.judged.verdict), {None: NOTHING, True: "yes", False: "no"}[one.agrees])


def aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield rows in columns, a space apart where two would make them wider than a terminal."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    is_wide = sum(widths) + 2 * (len(widths) - 1) > WIDTH
    for cells in rows:
        padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        yield (" " if is_wide else "  ").join(padded).rstrip()


def plain(answer: StudyAnswer) -> dict[str, Any]:
    """Return the same for JSON, with null for what is unknown."""
    head = answer.headline
    step = None if head is None else head.next_step
    return {
        "score": answer.score,
        "left": answer.left,
        "best": head and _line(head.judged),
        "by_latent_dim": [_line(line.judged) for line in answer.lines],
        "latents": head and _latents(head.latents),
        "scores": [
            _line(one.judged) | {"agrees": one.agrees, "smallest": one.latents.smallest}
            for one in answer.scores
        ],
        "next": step and step.command,
        "model": head and dataclasses.asdict(head.model),
        "confirmation": answer.confirmation and _confirmation(answer.confirmation),
    }


def _line(judged: Judgement) -> dict[str, Any]:
    """Return a latent size's best configuration and the verdict on its line in one record."""
    found = dataclasses.asdict(judged)
    del found["best"]
    best = {} if judged.best is None else _configuration(judged.best)
    return _finite(found) | best


def _latents(found: LatentSizes) -> dict[str, Any]:
    """Return the latent size that suffices, or that is nearest to it, beside the best other."""
    size = found.shown
    gap: dict[str, float | None] = dict.fromkeys(("difference", "low", "high", "active"))
    if size is not None:
        gap = {"difference": size.gap, "low": size.low, "high": size.high, "active": size.active}
    settled = {"smallest": found.smallest, "margin": found.margin}
    return settled | _finite(gap) | {"more_seeds": found.more_seeds, "text": found.text}


def _configuration(configuration: ScoredConfiguration) -> dict[str, Any]:
    return _finite(dataclasses.asdict(configuration) | {"axes": dict(configuration.axes)})


def _confirmation(found: Confirmation) -> dict[str, Any]:
    """Return the configuration on fresh seeds, and how far it lies above its neighbours there."""
    gaps = [_finite(dataclasses.asdict(gap)) for gap in found.gaps]
    return {"answer": str(found.answer), "fresh": _configuration(found.fresh), "gaps": gaps}


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values with None for each number that is none, which JSON does not have."""
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in values.items()
    }
