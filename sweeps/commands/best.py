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
from bvae.metrics.scores import UDR_NAMES
from sweeps.analysis.budget import Budget, budget
from sweeps.analysis.confirmation import Confirmation, confirmation
from sweeps.analysis.curve import ScoredConfiguration
from sweeps.analysis.latent_sizes import LatentSizes
from sweeps.analysis.sensitivity import flags
from sweeps.analysis.summary import ByScore, summarize
from sweeps.analysis.table import score_names
from sweeps.analysis.verdict import Judgement
from sweeps.commands.arguments import add_json, add_study
from sweeps.commands.conclude import best_line, conclusion, described
from sweeps.labels import NOTHING, interval, is_known, number, score_text, shown
from sweeps.report.answer import Headline, LineAnswer, Model, headline, line_answers
from sweeps.report.words import beta_range, verdict
from sweeps.scoring.udr import refresh
from sweeps.study.study import Study, open_study
from sweeps.study.trials import text
from sweeps.workers.exit_codes import Exit

INDENT = " " * 4


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
    _refuse_unknown(score, study)
    if score not in score_names(study) and not typed.json:
        print(best_line(study))
        return Exit.COMPLETE
    found = best(study, score=score)
    print(json.dumps(plain(found)) if typed.json else "\n".join(in_lines(found)))
    return Exit.COMPLETE


def _refuse_unknown(score: str, study: Study) -> None:
    """Refuse a score that no trial has; the objective may have to be waited for."""
    if score not in {*score_names(study), study.manifest.objective}:
        known = ", ".join(score_names(study)) or "none yet"
        raise ConfigError(f"--score {score}: no such score in this study; it has {known}")


@dataclass(frozen=True)
class StudyAnswer:
    """What a study says by one score.

    Attributes:
        study: its folder.
        score: the one it goes by.
        left: how many trials have not ended; the answer goes by those that have.
        lines: what is known of every latent size that has a best configuration.
        headline: the best configuration of all, None if there is none.
        scores: what every score says.
        budget: how long the models were trained.
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
    flags: tuple[str, ...]


def best(study: Study, *, score: str) -> StudyAnswer:
    """Return what a study, finished or not, says by one of its scores."""
    read = summarize(study)
    found = flags(read.population, score_names=[score])
    return StudyAnswer(
        study=study.folder.root,
        score=score,
        left=study.left,
        lines=tuple(line_answers(read, score=score)),
        headline=headline(read, score),
        scores=tuple(read.by_score()),
        budget=budget(read),
        confirmation=confirmation(study) if score == study.manifest.objective else None,
        flags=tuple(map(str, found)),
    )


def in_lines(answer: StudyAnswer) -> Iterator[str]:
    """Say it as the report does; last comes the answer, how sure it is, and what is next."""
    if answer.flags:
        yield "! these scores differ by representation: latents that encode next to nothing count"
    yield from (f"{INDENT}{flag}" for flag in answer.flags)
    if len(answer.scores) > 1:
        yield from _table(answer.scores)
        yield ""
    for line in answer.lines:
        yield f"{described(line.scored)}"
        yield from (INDENT + part for part in _certainty(line))
    if answer.lines:
        yield ""
    if answer.headline is None:
        yield "no configuration is complete yet"
        return
    yield from _model(answer.study, answer.headline.model, answer.score)
    if answer.confirmation:
        yield f"confirmation: {answer.confirmation}"
    yield from conclusion(answer.headline, answer.budget, left=answer.left)


def _certainty(line: LineAnswer) -> Iterator[str]:
    judged = line.judged
    left_out = f"; a seed left out scores {score_text(judged.left_out_score)}"
    known = left_out if is_known(judged.left_out_score) else ""
    yield f"β_norm {number(line.scored.beta_norm)}{known}"
    if judged.best_range is not None:
        yield f"the best β of those tried: {beta_range(judged.best_range)}"
    yield f"{verdict(judged)}; {judged.text}"


def _table(scores: Sequence[ByScore]) -> Iterator[str]:
    """Yield what every score says, in columns."""
    axes = [axis for axis, _ in scores[0].judged.axes] if scores else []
    rows: list[tuple[str, ...]] = [
        ("score", "best β", "latents", *axes, "mean (95 % interval)", "curve", "agrees")
    ]
    rows += [tuple(_row(one)) for one in scores]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        yield "  ".join(cells).rstrip()


def _row(one: ByScore) -> Iterator[str]:
    found = one.judged.best
    if found is None:
        raise TypeError("expected a score with a best configuration")
    yield found.score
    yield number(found.beta)
    yield str(found.latent_dim)
    yield from (text(value) for _, value in one.judged.axes)
    between = f" ({interval(found.low, found.high)})" if is_known(found.low) else ""
    yield f"{score_text(found.mean)}{between}"
    yield str(one.judged.verdict)
    yield {None: NOTHING, True: "yes", False: "no"}[one.agrees]


def _model(study: Path, model: Model, score: str) -> Iterator[str]:
    yield f"best model: {model.slug} ({score} {model.score:.3f})"
    yield f"{INDENT}again: {model.command}"
    if model.checkpoint:
        yield f"{INDENT}weights: {shown(study / model.checkpoint)}"


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
        "scores": [_by_score(one) for one in answer.scores],
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


def _by_score(one: ByScore) -> dict[str, Any]:
    agrees = {"agrees": one.agrees, "smallest": one.latents.smallest}
    return _line(one.judged) | agrees


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
