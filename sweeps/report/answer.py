"""Which β: the best configuration, its best model, and what is known of every latent size."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bvae.trial import TrialFolder
from sweeps.analysis import curve
from sweeps.analysis.budget import Budget, budget
from sweeps.analysis.confirmation import Confirmation, confirmation
from sweeps.analysis.sensitivity import Flag, flags
from sweeps.analysis.summary import ConfigurationEntry, ConfigurationScore, Summary
from sweeps.analysis.verdict import Judgement
from sweeps.report.pictures import pictures_of
from sweeps.report.templates import NotYet
from sweeps.scoring.untrained import Level
from sweeps.study.command import extend, reproduce
from sweeps.study.trials import text


@dataclass(frozen=True)
class Model:
    """The best model of a configuration; its checkpoint's path is from the study's folder on."""

    slug: str
    seed: int
    score: float
    command: str
    checkpoint: str


@dataclass(frozen=True)
class LineAnswer:
    """What is known of one latent size in one facet, by one score.

    `next_command` tries `judged.next_beta`; both are None if the best is inside the grid.
    `untrained` is what untrained encoders score, None where it is not known.
    """

    judged: Judgement
    configuration: ConfigurationEntry
    next_command: str | None
    untrained: Level | None

    @property
    def scored(self) -> curve.ScoredConfiguration:
        """The best configuration with its score and interval."""
        assert self.judged.best is not None, "a latent size without a best has no answer"
        return self.judged.best


@dataclass(frozen=True)
class ScoreAnswer:
    """What one score says of every latent size.

    `flags` are the configurations that score otherwise on another representation.
    """

    score: str
    lines: Sequence[LineAnswer]
    flags: Sequence[Flag]


@dataclass(frozen=True)
class BestAnswer:
    """The best configuration by the objective, how sure that is, and its best model."""

    best: ConfigurationEntry
    score: ConfigurationScore
    line: LineAnswer | None
    model: Model
    budget: Budget
    confirmation: Confirmation | None


@dataclass(frozen=True)
class GalleryEntry:
    """The best model of a best configuration, with its pictures by kind."""

    configuration: ConfigurationEntry
    n_seeds: int
    model: Model
    pictures: Mapping[str, str]


def best_answer(read: Summary) -> BestAnswer | NotYet:
    """Return what the study answers by its objective."""
    best = read.overall
    if best is None:
        return NotYet(
            "Nothing to choose from yet: a configuration counts when every seed of it has been "
            "trained and scored."
        )
    lines = line_answers(read, score=read.objective)
    return BestAnswer(
        best=best,
        score=read.scores[read.objective][best.number],
        line=next((line for line in lines if line.configuration == best), None),
        model=best_model(read, best),
        budget=budget(read),
        confirmation=confirmation(read.study),
    )


def best_model(
    read: Summary, configuration: ConfigurationEntry, *, score: str | None = None
) -> Model:
    """Return the configuration's model with the highest score, and how to get it again."""
    trial, study = read.best_trial(configuration, score=score), read.study
    return Model(
        slug=trial.slug,
        seed=trial.seed,
        score=trial.values[score or read.objective],
        command=reproduce(study.manifest, study.trial(trial.slug)),
        checkpoint=_checkpoint(study.trial_folder(trial.slug)),
    )


def score_answers(
    read: Summary, *, scores: Sequence[str] | None = None
) -> list[ScoreAnswer] | None:
    """Return the answer by these scores, by default all; None where no trial has a score."""
    return [
        ScoreAnswer(
            score=score,
            lines=line_answers(read, score=score),
            flags=flags(read.population, score_names=[score]),
        )
        for score in scores or read.charted
    ] or None


def line_answers(read: Summary, *, score: str) -> list[LineAnswer]:
    """Return the best β of every latent size by a score, with the verdict on its curve.

    While trials are to come, both go by the seeds that are there.
    """
    with_best = [one for one in read.judgements(score) if one.best is not None]
    return [
        LineAnswer(
            judged=judged,
            configuration=configuration,
            next_command=_next_command(read, configuration, judged.next_beta),
            untrained=read.untrained_level(configuration, score),
        )
        for configuration, judged in zip(read.best_by(score), with_best, strict=True)
    ]


def gallery(read: Summary) -> list[GalleryEntry] | NotYet:
    """Return the best model of the best configuration of every latent size, with its pictures."""
    entries = []
    for configuration in read.best:
        model = best_model(read, configuration)
        pictures = pictures_of(read.study.trial_folder(model.slug))
        n_seeds = read.scores[read.objective][configuration.number].n
        entries.append(GalleryEntry(configuration, n_seeds, model, pictures))
    return entries or NotYet("There is no best model to show yet.")


def _next_command(
    read: Summary, configuration: ConfigurationEntry, beta: float | None
) -> str | None:
    """Return the command that adds a β to a line, with the line's seeds and further axes."""
    if beta is None:
        return None
    trials = read.trials_of(configuration)
    shared = {key: [text(value)] for key, value in read.study.trial(trials[0].slug).coordinates}
    changed = {"beta": [text(beta)], "seed": [str(trial.seed) for trial in trials]}
    return extend(read.study.manifest, {**shared, **changed})


def _checkpoint(trial: Path) -> str:
    """Return where the weights are in the study's folder, nothing if they were not kept."""
    path = TrialFolder(trial).weights
    return "" if path is None else path.relative_to(trial.parents[1]).as_posix()
