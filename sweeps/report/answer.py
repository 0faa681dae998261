"""Which β: the best cell, its best model, and what can be said of every latent size."""

from dataclasses import dataclass
from pathlib import Path

from sweeps.points import Point, text
from sweeps.report.digest import Cell, Digest, Trial, facet_name
from sweeps.report.labels import interval, number, score_text
from sweeps.report.pictures import Pictures, pictures_of
from sweeps.report.reproduce import extend, reproduce
from sweeps.study import Study
from sweeps.verdict import Judgement, judge_all


@dataclass(frozen=True)
class Model:
    """The best model of a cell."""

    slug: str
    seed: int
    score: str
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
    """What is known of one latent size in one facet."""

    best: Best
    beta_range: str
    left_out: str
    verdict: str
    text: str
    next_beta: str
    next_command: str


@dataclass(frozen=True)
class GalleryEntry:
    """The best model of a best cell, with its pictures."""

    best: Best
    model: Model
    pictures: Pictures


def in_words(read: Digest, cell: Cell) -> Best:
    """Describe a cell by the objective."""
    score = read.scores[read.objective][cell.number]
    return Best(
        number=cell.number,
        facet=cell.facet,
        beta=number(cell.beta),
        latent_dim=cell.latent_dim,
        beta_norm=number(cell.beta_norm),
        mean=score_text(score.mean),
        interval=interval(score.low, score.high),
        n=score.n,
        active=number(cell.active_latents),
    )


def best_model(read: Digest, cell: Cell, *, command: str) -> Model:
    """Return the cell's model with the highest objective, and how to get it again."""
    trial, study = read.best_trial(cell), read.study
    return Model(
        slug=trial.slug,
        seed=trial.seed,
        score=score_text(trial.values[read.objective]),
        command=reproduce(_point(study, trial), command=command, study=study.name),
        checkpoint=_checkpoint(study.trial_folder(trial.slug)),
    )


def line_answers(read: Digest, *, command: str) -> list[LineAnswer]:
    """Return the best β of every latent size, with the verdict on its curve."""
    judged = judge_all(read.frame, score_names=[read.objective], axes=read.study.manifest.axes)
    at = {(facet_name(one.axes), one.latent_dim): one for one in judged}
    return [
        _line_answer(read, cell, at[cell.facet, cell.latent_dim], command) for cell in read.best
    ]


def gallery(read: Digest, *, command: str) -> list[GalleryEntry]:
    """Return the best model of the best cell of every latent size, with its pictures."""
    entries = []
    for cell in read.best:
        model = best_model(read, cell, command=command)
        folder = read.study.trial_folder(model.slug)
        entries.append(GalleryEntry(in_words(read, cell), model, pictures_of(folder)))
    return entries


def _line_answer(read: Digest, cell: Cell, judged: Judgement, command: str) -> LineAnswer:
    beyond = judged.next_beta
    return LineAnswer(
        best=in_words(read, cell),
        beta_range=_beta_range(judged),
        left_out=score_text(judged.left_out_score),
        verdict=str(judged.verdict),
        text=judged.text,
        next_beta=number(beyond),
        next_command="" if beyond is None else _next_command(read, cell, beyond, command),
    )


def _beta_range(judged: Judgement) -> str:
    found = judged.best_range
    if found is None:
        return number(None)
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
