"""The answer in the terminal: which β for each latent size, how sure, and how to get the model."""

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweeps.analysis.best import best_of
from sweeps.analysis.confirmation import Confirmation, confirmation
from sweeps.analysis.curve import Cell
from sweeps.analysis.sensitivity import flags
from sweeps.analysis.summary import summarize
from sweeps.commands.conclude import described
from sweeps.labels import is_known, next_step, number, score_text
from sweeps.report.answer import LineAnswer, Model, best_model, line_answers
from sweeps.report.words import beta_range
from sweeps.study.folder import shown
from sweeps.study.study import Study

INDENT = " " * 4


@dataclass(frozen=True)
class StudyAnswer:
    """What a study says by one score.

    Attributes:
        study: its folder.
        score: the one it goes by.
        left: how many trainings have not ended; the answer goes by those that have.
        lines: what is known of every latent size that has a best cell.
        overall: that with the best cell of all, None if there is none.
        model: the best of that cell's seeds.
        confirmation: what fresh seeds say of that cell, if it is the objective's and there are any.
        flags: cells that score otherwise when their codes are read otherwise.
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
    read, command = summarize(study), study.manifest.command
    lines = line_answers(read, score=score, command=command)
    best_cell = best_of(line.cell for line in lines)
    overall = next((line for line in lines if line.cell is best_cell), None)
    model = None
    if overall is not None:
        cell = overall.configuration
        model = best_model(read, cell, command=command, score=score)
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
    """Say it as the report does, a star at the best cell of all."""
    if not answer.lines:
        yield "no cell is complete yet"
    elif answer.left:
        yield f"{answer.left} trainings are left: the best so far"
    for line in answer.lines:
        yield f"{'*' if line is answer.overall else ' '} {described(line.cell)}"
        yield from (INDENT + part for part in _certainty(line))
    if answer.model:
        yield from _model(answer.study, answer.model, answer.score)
    if answer.confirmation:
        yield f"confirmation: {answer.confirmation}"
    if answer.flags:
        yield "! other codes, other scores: latents that carry next to nothing count in these cells"
    yield from (f"{INDENT}{flag}" for flag in answer.flags)


def _certainty(line: LineAnswer) -> Iterator[str]:
    judged = line.judged
    left_out = f"; a seed left out scores {score_text(judged.left_out_score)}"
    known = left_out if is_known(judged.left_out_score) else ""
    yield f"β_norm {number(line.cell.beta_norm)}{known}"
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
    """Return a latent size's best cell and the judgement on its line, one beside the other."""
    judged = dataclasses.asdict(line.judged)
    del judged["best"]
    return _finite(judged) | _cell(line.cell)


def _cell(cell: Cell) -> dict[str, Any]:
    return _finite(dataclasses.asdict(cell) | {"axes": dict(cell.axes)})


def _confirmation(found: Confirmation) -> dict[str, Any]:
    """Return the cell on fresh seeds, and how far it lies above its neighbours there."""
    gaps = [_finite(dataclasses.asdict(gap)) for gap in found.gaps]
    return {"answer": str(found.answer), "fresh": _cell(found.fresh), "gaps": gaps}


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values with None for each number that is none, which JSON does not have."""
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in values.items()
    }
