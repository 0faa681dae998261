"""Which β: the best cell, its best model, and what can be said of every latent size."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bvae.trial import TrialFolder
from sweeps.analysis import curve
from sweeps.analysis.best import BetaRange
from sweeps.analysis.sensitivity import flags
from sweeps.analysis.summary import Cell, Summary
from sweeps.analysis.verdict import Judgement
from sweeps.labels import NOTHING, interval, number, score_label, score_text, seeds
from sweeps.report.pictures import Pictures, pictures_of
from sweeps.study.command import as_grid, extend, reproduce
from sweeps.study.trials import text

BEYOND = {(True, True): "outside", (True, False): "below", (False, True): "above"}
"""Where the best β may lie, by whether its range is open at the low and the high end."""

NEXT_STEP = "the best β is at the border of the grid or next to the collapse; try β = {} next"


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
    seeds: str
    active: str


@dataclass(frozen=True)
class LineAnswer:
    """What is known of one latent size in one facet, by one score: as numbers, then in words.

    `next_step` says which β to try and why, `next_command` how; empty if the best is inside the
    grid.
    """

    judged: Judgement
    best: Best
    beta_range: str
    left_out: str
    verdict: str
    text: str
    next_step: str
    next_command: str

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


def in_words(read: Summary, cell: Cell, *, score: str | None = None) -> Best:
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
        seeds=seeds(found.n, score=score or read.objective),
        active=number(cell.active_latents),
    )


def best_model(read: Summary, cell: Cell, *, command: str, score: str | None = None) -> Model:
    """Return the cell's model with the highest score, and how to get it again."""
    trial, study = read.best_trial(cell, score=score), read.study
    return Model(
        slug=trial.slug,
        seed=trial.seed,
        score=trial.values[score or read.objective],
        command=reproduce(study.trial(trial.slug), command=command, study=study.name),
        checkpoint=_checkpoint(study.trial_folder(trial.slug)),
    )


def score_answers(read: Summary, *, scores: Sequence[str], command: str) -> list[ScoreAnswer]:
    """Return the answer by every score; the first is shown until another one is chosen."""
    return [
        ScoreAnswer(
            score=score,
            label=score_label(score),
            shown=i == 0,
            lines=line_answers(read, score=score, command=command),
            flags=list(map(str, flags(read.population, score_names=[score]))),
        )
        for i, score in enumerate(scores)
    ]


def best_answer(read: Summary, answers: Sequence[ScoreAnswer]) -> LineAnswer | None:
    """Return what the objective says of the best cell's latent size, None if nothing is best."""
    number = None if read.overall is None else read.overall.number
    by_objective = [answer for answer in answers if answer.score == read.objective]
    found = (line for answer in by_objective for line in answer.lines)
    return next((line for line in found if line.best.number == number), None)


def line_answers(read: Summary, *, score: str, command: str) -> list[LineAnswer]:
    """Return the best β of every latent size by a score, with the verdict on its curve.

    While trainings are to come, both go by the seeds that are there.
    """
    with_best = [one for one in read.judgements(score) if one.best is not None]
    return [
        _line_answer(read, cell, judged, command=command)
        for cell, judged in zip(read.best_by(score), with_best, strict=True)
    ]


def gallery(read: Summary, *, command: str) -> list[GalleryEntry]:
    """Return the best model of the best cell of every latent size, with its pictures."""
    entries = []
    for cell in read.best:
        model = best_model(read, cell, command=command)
        folder = read.study.trial_folder(model.slug)
        entries.append(GalleryEntry(in_words(read, cell), model, pictures_of(folder)))
    return entries


def _line_answer(read: Summary, cell: Cell, judged: Judgement, *, command: str) -> LineAnswer:
    beyond = judged.next_beta
    return LineAnswer(
        judged=judged,
        best=in_words(read, cell, score=judged.score),
        beta_range=beta_range(judged.best_range),
        left_out=score_text(judged.left_out_score),
        verdict=str(judged.verdict),
        text=judged.text,
        next_step="" if beyond is None else NEXT_STEP.format(number(beyond)),
        next_command="" if beyond is None else _next_command(read, cell, beyond, command),
    )


def beta_range(found: BetaRange | None) -> str:
    """Write which β of those tried may be best, and whether one beyond them may be better."""
    if found is None:
        return NOTHING
    norms = span(found.norm_low, found.norm_high)
    beyond = BEYOND.get((found.open_low, found.open_high))
    better = f"; a β {beyond} the grid may be better" if beyond else ""
    return f"{span(found.low, found.high)} (β_norm {norms}; 95 % confidence){better}"


def span(low: float, high: float) -> str:
    """Write a range of numbers, or the only one.

    >>> span(1, 16), span(4, 4)
    ('1 to 16', '4')
    """
    return number(low) if low == high else f"{number(low)} to {number(high)}"


def _next_command(read: Summary, cell: Cell, beta: float, command: str) -> str:
    """Return the command that adds a β to a line, with the line's seeds and further axes."""
    trials = read.trials_of(cell)
    shared = {key: [text(value)] for key, value in read.study.trial(trials[0].slug).coordinates}
    changed = {"beta": [text(beta)], "seed": [str(trial.seed) for trial in trials]}
    grid = as_grid(read.study.manifest)
    return extend(command, values={**shared, **changed, **grid})


def _checkpoint(trial: Path) -> str:
    """Return where the weights are in the study's folder, nothing if they were not kept."""
    path = TrialFolder(trial).weights
    return "" if path is None else path.relative_to(trial.parents[1]).as_posix()
