"""`sweeps best`: which β for each latent size, how sure that is, and how to get the model."""

import argparse
import dataclasses
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bvae.exceptions import ConfigError
from bvae.metrics.scores import UDR_NAMES
from sweeps.analysis.best import best_of
from sweeps.analysis.confirmation import Confirmation, confirmation
from sweeps.analysis.curve import ScoredConfiguration
from sweeps.analysis.sensitivity import flags
from sweeps.analysis.summary import summarize
from sweeps.analysis.table import score_names
from sweeps.commands.arguments import add_json, add_study
from sweeps.commands.conclude import best_line, described
from sweeps.labels import is_known, next_step, number, score_text, shown
from sweeps.report.answer import LineAnswer, Model, best_model, line_answers
from sweeps.report.words import beta_range
from sweeps.scoring.udr import refresh
from sweeps.study.study import Study, open_study
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
        overall: that with the best configuration of all, None if there is none.
        model: the best of that configuration's seeds.
        confirmation: what fresh seeds say of it, if it is the objective's and there are any.
        flags: configurations that score otherwise by another representation.
    """

    study: Path
    score: str
    left: int
    lines: tuple[LineAnswer, ...]
    overall: LineAnswer | None
    model: Model | None
    confirmation: Confirmation | None
    flags: tuple[str, ...]


def best(study: Study, *, score: str) -> StudyAnswer:
    """Return what a study, finished or not, says by one of its scores."""
    read = summarize(study)
    lines = line_answers(read, score=score)
    best_configuration = best_of(line.scored for line in lines)
    overall = next((line for line in lines if line.scored is best_configuration), None)
    model = None
    if overall is not None:
        configuration = overall.configuration
        model = best_model(read, configuration, score=score)
    found = flags(read.population, score_names=[score])
    return StudyAnswer(
        study=study.folder.root,
        score=score,
        left=study.left,
        lines=tuple(lines),
        overall=overall,
        model=model,
        confirmation=confirmation(study) if score == study.manifest.objective else None,
        flags=tuple(map(str, found)),
    )


def in_lines(answer: StudyAnswer) -> Iterator[str]:
    """Say it as the report does, a star at the best configuration of all."""
    if not answer.lines:
        yield "no configuration is complete yet"
    elif answer.left:
        yield f"{answer.left} trials are left: the best so far"
    for line in answer.lines:
        yield f"{'*' if line is answer.overall else ' '} {described(line.scored)}"
        yield from (INDENT + part for part in _certainty(line))
    if answer.model:
        yield from _model(answer.study, answer.model, answer.score)
    if answer.confirmation:
        yield f"confirmation: {answer.confirmation}"
    if answer.flags:
        yield "! these scores differ by representation: latents that encode next to nothing count"
    yield from (f"{INDENT}{flag}" for flag in answer.flags)


def _certainty(line: LineAnswer) -> Iterator[str]:
    judged = line.judged
    left_out = f"; a seed left out scores {score_text(judged.left_out_score)}"
    known = left_out if is_known(judged.left_out_score) else ""
    yield f"β_norm {number(line.scored.beta_norm)}{known}"
    if judged.best_range is not None:
        yield f"the best β of those tried: {beta_range(judged.best_range)}"
    yield f"inverted U: {judged.verdict}; {judged.text}"
    if judged.next_beta is not None:
        yield f"{next_step(judged.next_beta)}: {line.next_command}"


def _model(study: Path, model: Model, score: str) -> Iterator[str]:
    yield f"best model: {model.slug} ({score} {model.score:.3f})"
    yield f"{INDENT}again: {model.command}"
    if model.checkpoint:
        yield f"{INDENT}weights: {shown(study / model.checkpoint)}"


def plain(answer: StudyAnswer) -> dict[str, Any]:
    """Return the same for JSON, with null for what is unknown."""
    return {
        "score": answer.score,
        "left": answer.left,
        "best": answer.overall and _line(answer.overall),
        "by_latent_dim": [_line(line) for line in answer.lines],
        "model": answer.model and dataclasses.asdict(answer.model),
        "confirmation": answer.confirmation and _confirmation(answer.confirmation),
    }


def _line(line: LineAnswer) -> dict[str, Any]:
    """Return a latent size's best configuration and the verdict on its line in one record."""
    judged = dataclasses.asdict(line.judged)
    del judged["best"]
    return _finite(judged) | _configuration(line.scored)


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
