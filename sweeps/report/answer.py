"""Which β: the best configuration, its best model, and what is known of every latent size."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bvae.metrics.scores import score_named
from bvae.trial import TrialFolder
from sweeps.analysis.budget import Budget, budget
from sweeps.analysis.confirmation import Confirmation, confirmation
from sweeps.analysis.curve import ScoredConfiguration
from sweeps.analysis.latent_sizes import LatentSizes
from sweeps.analysis.sensitivity import Flag, flags
from sweeps.analysis.summary import ByScore, ConfigurationEntry, Summary
from sweeps.analysis.verdict import Judgement
from sweeps.labels import more_seeds
from sweeps.report.templates import NotYet
from sweeps.scoring.untrained import Level
from sweeps.statistics.inverted_u import Verdict
from sweeps.study.command import extend, reproduce, with_seeds
from sweeps.study.trials import canonical, text


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

    `untrained` is what untrained encoders score, None where it is not known.
    """

    judged: Judgement
    configuration: ConfigurationEntry
    untrained: Level | None

    @property
    def scored(self) -> ScoredConfiguration:
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
class NextStep:
    """What to type next, and why."""

    why: str
    command: str


@dataclass(frozen=True)
class Headline(LineAnswer):
    """The line with the best configuration by one score, and what follows from it.

    `others` are the verdicts on the other latent sizes. `next_step` is None while trials are to
    come, and where nothing is left to ask.
    """

    score: str
    others: Sequence[Judgement]
    latents: LatentSizes
    next_step: NextStep | None
    model: Model


@dataclass(frozen=True)
class BestAnswer:
    """The headline by every score, the objective's first."""

    headlines: Sequence[Headline]
    budget: Budget
    confirmation: Confirmation | None


@dataclass(frozen=True)
class AllScores:
    """What is known of every latent size by each score, and of the best by every score.

    `of_representations` are the scores of sampled codes and of active latents only.
    """

    by_latent_size: Sequence[ScoreAnswer]
    by_score: Sequence[ByScore]
    of_representations: Sequence[ByScore]


def best_answer(read: Summary) -> BestAnswer | NotYet:
    """Return what the study answers, by each of its scores."""
    if read.overall is None:
        return NotYet(
            "Nothing to choose from yet: a configuration counts when every seed of it has been "
            "trained and scored."
        )
    found = [headline(read, score) for score in read.charted]
    return BestAnswer(
        headlines=[one for one in found if one is not None],
        budget=budget(read),
        confirmation=confirmation(read.study),
    )


def headline(read: Summary, score: str) -> Headline | None:
    """Return the answer by one score; None where no configuration is complete."""
    judged = read.judged_best(score)
    if judged is None:
        return None
    lines = line_answers(read, score=score)
    line = next(one for one in lines if one.judged is judged)
    latents = read.latents(score)
    return Headline(
        judged=judged,
        configuration=line.configuration,
        untrained=line.untrained,
        score=score,
        others=[one.judged for one in lines if one is not line and one.judged.axes == judged.axes],
        latents=latents,
        next_step=_next_step(read, line, latents),
        model=best_model(read, line.configuration, score=score),
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
        command=reproduce(study, study.trial(trial.slug)),
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
            untrained=read.untrained_level(configuration, score),
        )
        for configuration, judged in zip(read.best_by(score), with_best, strict=True)
    ]


def all_scores(read: Summary) -> AllScores | None:
    """Return the answer of every score; None where no trial has one."""
    answers = score_answers(read)
    if answers is None:
        return None
    kinds: dict[bool, list[ByScore]] = {True: [], False: []}
    for one in read.by_score():
        kinds[score_named(one.judged.score).representation == "mean"].append(one)
    return AllScores(answers, kinds[True], kinds[False])


def _next_step(read: Summary, line: LineAnswer, latents: LatentSizes) -> NextStep | None:
    """Return what would make the answer surer, once the trials that were asked for have ended.

    First what shows the curve, then what tells latent sizes apart, last a finer grid at the peak.
    """
    if read.in_progress:
        return None
    judged, beta = line.judged, line.judged.next_beta
    if beta is not None and judged.verdict is not Verdict.INVERTED_U:
        why = "the best β is, or may be, at the border of the grid or next to the collapse"
        return _another_beta(read, line.configuration, beta, why)
    if judged.more_seeds is not None:
        return _seeds(read, judged.more_seeds, "would show the curve")
    if latents.more_seeds is not None:
        return _seeds(read, latents.more_seeds, "would tell the latent sizes apart")
    if beta is None:
        return None
    return _another_beta(
        read, line.configuration, beta, "the curve is known, and only a finer grid says more"
    )


def _another_beta(read: Summary, best: ConfigurationEntry, beta: float, why: str) -> NextStep:
    """Return the command that adds a β to the line of the best, with its seeds."""
    trials = read.trials_of(best)
    at = {key: [value] for key, value in read.study.trial(trials[0].slug).coordinates}
    at |= {"beta": [canonical(beta)], "seed": [trial.seed for trial in trials]}
    return NextStep(f"{why}; try β = {text(beta)} next", extend(read.study, at))


def _seeds(read: Summary, more: int, what_for: str) -> NextStep:
    """Return the command that adds seeds: at most as many as there are, then look again."""
    have = sorted({trial.seed for trial in read.trials})
    added = [have[-1] + 1 + i for i in range(min(more, len(have)))]
    some = f"; first {len(added)}" if len(added) < more else ""
    why = f"about {more_seeds(more)} a configuration {what_for}{some}"
    return NextStep(why, with_seeds(read.study, [*have, *added]))


def _checkpoint(trial: Path) -> str:
    """Return where the weights are in the study's folder, nothing if they were not kept."""
    path = TrialFolder(trial).weights
    return "" if path is None else path.relative_to(trial.parents[1]).as_posix()
