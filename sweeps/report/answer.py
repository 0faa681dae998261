"""Which β: the best cell, its best model, and what can be said of every latent size."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sweeps import curve
from sweeps.curve import Line, ended, lines
from sweeps.flags import flags
from sweeps.points import Point, text
from sweeps.report.aggregation import Row, aggregation
from sweeps.report.digest import Cell, Digest, Trial, facet_name
from sweeps.report.labels import NOTHING, interval, number, score_label, score_text
from sweeps.report.pictures import Pictures, pictures_of
from sweeps.report.reproduce import extend, reproduce
from sweeps.study import Study
from sweeps.verdict import Judgement, is_saturated, judge


@dataclass(frozen=True)
class Model:
    """The best model of a cell; the path of its checkpoint is from the study's folder on."""

    slug: str
    seed: int
    score: float
    command: str
    checkpoint: str


@dataclass(frozen=True)
class Best:
    """A cell in words."""

    number: int
    facet: str
    beta: str
    latent_dim: int
    beta_norm: str
    mean: str
    interval: str
    n: int
    active: str


@dataclass(frozen=True)
class LineAnswer:
    """What is known of one latent size in one facet, by one score: as numbers, then in words."""

    judged: Judgement
    best: Best
    beta_range: str
    left_out: str
    verdict: str
    text: str
    next_beta: str
    next_command: str
    rows: list[Row]

    @property
    def cell(self) -> curve.Cell:
        """The best cell as numbers."""
        if self.judged.best is None:
            raise TypeError("expected a latent size with a best cell")  # others have no answer
        return self.judged.best


@dataclass(frozen=True)
class ScoreAnswer:
    """What one score says of every latent size.

    `flags` are the cells that score otherwise when their codes are read otherwise.
    """

    score: str
    label: str
    shown: bool
    lines: list[LineAnswer]
    flags: list[str]


@dataclass(frozen=True)
class GalleryEntry:
    """The best model of a best cell, with its pictures."""

    best: Best
    model: Model
    pictures: Pictures


def in_words(read: Digest, cell: Cell, *, score: str | None = None) -> Best:
    """Describe a cell by a score, the objective by default."""
    found = read.scores[score or read.objective][cell.number]
    return Best(
        number=cell.number,
        facet=cell.facet,
        beta=number(cell.beta),
        latent_dim=cell.latent_dim,
        beta_norm=number(cell.beta_norm),
        mean=score_text(found.mean),
        interval=interval(found.low, found.high),
        n=found.n,
        active=number(cell.active_latents),
    )


def best_model(read: Digest, cell: Cell, *, command: str, score: str | None = None) -> Model:
    """Return the cell's model with the highest score, and how to get it again."""
    trial, study = read.best_trial(cell, score=score), read.study
    return Model(
        slug=trial.slug,
        seed=trial.seed,
        score=trial.values[score or read.objective],
        command=reproduce(_point(study, trial), command=command, study=study.name),
        checkpoint=_checkpoint(study.trial_folder(trial.slug)),
    )


def score_answers(read: Digest, *, scores: Sequence[str], command: str) -> list[ScoreAnswer]:
    """Return the answer by every score; the first is shown until another one is chosen."""
    return [
        ScoreAnswer(
            score=score,
            label=score_label(score),
            shown=i == 0,
            lines=line_answers(read, score=score, command=command),
            flags=[
                str(flag)
                for flag in flags(read.frame, score_names=[score], axes=read.study.manifest.axes)
            ],
        )
        for i, score in enumerate(scores)
    ]


def best_answer(read: Digest, answers: Sequence[ScoreAnswer]) -> LineAnswer | None:
    """Return what the objective says of the best cell's latent size, None if nothing is best."""
    number = None if read.overall is None else read.overall.number
    by_objective = [answer for answer in answers if answer.score == read.objective]
    found = (line for answer in by_objective for line in answer.lines)
    return next((line for line in found if line.best.number == number), None)


def line_answers(read: Digest, *, score: str, command: str) -> list[LineAnswer]:
    """Return the best β of every latent size by a score, with the verdict on its curve.

    While trainings are to come, both go by the seeds that are there.
    """
    found = list(lines(ended(read.frame), score_names=[score], axes=read.study.manifest.axes))
    at = {(facet_name(line.axes), line.latent_dim): line for line in found}
    saturated = is_saturated(found)
    answers = []
    for cell in read.best_by(score):
        line = at[cell.facet, cell.latent_dim]
        judged = judge(line, other_scores=tuple(read.frame.columns), saturated=saturated)
        answers.append(_line_answer(read, cell, line, judged, command=command))
    return answers


def gallery(read: Digest, *, command: str) -> list[GalleryEntry]:
    """Return the best model of the best cell of every latent size, with its pictures."""
    entries = []
    for cell in read.best:
        model = best_model(read, cell, command=command)
        folder = read.study.trial_folder(model.slug)
        entries.append(GalleryEntry(in_words(read, cell), model, pictures_of(folder)))
    return entries


def _line_answer(
    read: Digest, cell: Cell, line: Line, judged: Judgement, *, command: str
) -> LineAnswer:
    beyond = judged.next_beta
    return LineAnswer(
        judged=judged,
        best=in_words(read, cell, score=line.score),
        beta_range=beta_range(judged),
        left_out=score_text(judged.left_out_score),
        verdict=str(judged.verdict),
        text=judged.text,
        next_beta=number(beyond),
        next_command="" if beyond is None else _next_command(read, cell, beyond, command),
        rows=aggregation(read, line),
    )


def beta_range(judged: Judgement) -> str:
    """Write which β may be best, and whether it may lie beyond the grid; nothing of a single β."""
    found = judged.best_range
    if found is None or (found.open_low and found.open_high and found.low == found.high):
        return NOTHING
    text = number(found.low)
    if found.low < found.high:
        text += f" to {number(found.high)}"
    beyond = {(True, True): ", or beyond", (True, False): ", or below", (False, True): ", or above"}
    return text + beyond.get((found.open_low, found.open_high), "")


def _next_command(read: Digest, cell: Cell, beta: float, command: str) -> str:
    """Return the command that adds a β to a line, with the line's seeds and further axes."""
    trials = read.trials_of(cell)
    shared = {key: [text(value)] for key, value in _point(read.study, trials[0]).coordinates}
    changed = {"beta": [text(beta)], "seed": [str(trial.seed) for trial in trials]}
    return extend(command, values=shared | changed)


def _point(study: Study, trial: Trial) -> Point:
    return next(point for point in study.points if point.slug == trial.slug)


def _checkpoint(trial: Path) -> str:
    """Return where the weights are in the study's folder, nothing if they were not kept."""
    found = [trial / "checkpoints" / name for name in ("best.ckpt", "last.ckpt")]
    study = trial.parents[1]
    return next((path.relative_to(study).as_posix() for path in found if path.exists()), "")
