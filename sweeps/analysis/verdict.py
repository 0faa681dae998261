"""The verdict on every line of a study, as numbers and in words."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bvae.metrics.scores import score_named
from sweeps import labels
from sweeps.analysis.best import BetaRange, best_configuration, best_range, may_win, next_beta
from sweeps.analysis.curve import Line, ScoredConfiguration
from sweeps.statistics.best_subset import left_out_score
from sweeps.statistics.intervals import Floats, configuration_means
from sweeps.statistics.inverted_u import (
    CEILING,
    FEWEST,
    LEVEL,
    Evidence,
    Fall,
    Verdict,
    evidence,
    falls,
    inner_of,
    is_crowded,
    seeds_to_settle,
    verdicts,
)

STRICTER = ("mig", "dci_disentanglement", "sap", "factor_vae")


@dataclass(frozen=True)
class Judgement:
    """The verdict on one line, with its best β and what would settle it.

    `best_range` holds the best β among those tried with 95 % confidence, None of a single β;
    `left_out_score` is what the choice is worth on seeds that did not make it, beside the
    optimistic `best.mean`. It is NaN of UDR: no seed has one of its own.
    `fall` is how the line falls at its largest β, None where no fall is shown. `more_seeds` is a
    configuration's; `n_incomplete` configurations were left aside.
    """

    axes: tuple[tuple[str, Any], ...]
    latent_dim: int
    score: str
    verdict: Verdict
    text: str
    n_incomplete: int
    fall: Fall | None = None
    best: ScoredConfiguration | None = None
    best_range: BetaRange | None = None
    left_out_score: float = math.nan
    next_beta: float | None = None
    more_seeds: int | None = None


def judge_all(
    of_score: Sequence[Line], *, other_scores: Sequence[str] = (), level: float = LEVEL
) -> list[Judgement]:
    """Judge every line of a score; one that is saturated over all of them is so on each."""
    saturated = is_saturated(of_score)
    return [
        judge(line, other_scores=other_scores, saturated=saturated, level=level)
        for line in of_score
    ]


def is_saturated(of_score: Sequence[Line]) -> bool:
    """Whether more than a quarter of the complete configurations have a mean above .97."""
    of_score = [line for line in of_score if _has_ceiling(line)]
    means = [configuration_means(line.values) for line in (at.finished for at in of_score)]
    configurations = np.concatenate(means) if means else np.zeros(0)
    return bool(configurations.size and is_crowded(configurations))


def _has_ceiling(line: Line) -> bool:
    """Whether the score cannot exceed 1, or some other number; own ones may have any value."""
    return math.isfinite(score_named(line.score).high)


def judge(
    line: Line,
    *,
    other_scores: Sequence[str] = (),
    saturated: bool = False,
    level: float = LEVEL,
) -> Judgement:
    """Return the verdict on one line.

    Args:
        line: a score against β at one latent size.
        other_scores: those a saturated one may be sent to.
        saturated: whether the score is known to be, from the other lines of the study.
        level: of rise and fall.
    """
    done = line.finished
    nothing = Judgement(
        axes=line.axes,
        latent_dim=line.latent_dim,
        score=line.score,
        verdict=Verdict.NOT_RESOLVED,
        text="no configuration is complete yet",
        n_incomplete=int((~line.complete).sum()),
    )
    if len(done.betas) == 0:
        return nothing
    seen = evidence(done.values, done.collapsed, noise=done.noise, level=level)
    if not _has_ceiling(line):
        seen = seen._replace(saturated=np.zeros_like(seen.saturated))
    verdict = Verdict.SATURATED if saturated else Verdict(str(verdicts(seen, level=level)))
    more_seeds = _more_seeds(done, verdict)
    return replace(
        nothing,
        verdict=verdict,
        fall=None if verdict is Verdict.SATURATED else _fall(seen, level),
        text=_text(done, seen, verdict, more_seeds, other_scores),
        best=best_configuration(line),
        best_range=best_range(line) if may_win(done.collapsed).sum() > 1 else None,
        left_out_score=_left_out_score(done),
        next_beta=next_beta(line, beyond_range=_takes_many(done, verdict, more_seeds)),
        more_seeds=more_seeds,
    )


def _left_out_score(done: Line) -> float:
    # the UDR of the seed left out is made of pairs that chose
    if score_named(done.score).per_configuration:
        return math.nan
    return float(left_out_score(done.values[may_win(done.collapsed)]))


def _fall(seen: Evidence, level: float) -> Fall | None:
    found = str(falls(seen, level=level))
    return Fall(found) if found else None


def _takes_many(done: Line, verdict: Verdict, more_seeds: int | None) -> bool:
    """Whether a line that is not resolved wants another β rather than three times the seeds."""
    if verdict is not Verdict.NOT_RESOLVED:
        return False
    return more_seeds is None or more_seeds > 2 * done.values.shape[-1]


def _more_seeds(done: Line, verdict: Verdict) -> int | None:
    total = float(seeds_to_settle(done.values, done.collapsed, noise=done.noise))
    if verdict is not Verdict.NOT_RESOLVED or math.isnan(total):
        return None
    have = int(np.isfinite(done.values).all(axis=0).sum())  # seeds that every configuration has
    return max(math.ceil(total) - have, 1)


def _text(
    done: Line, seen: Evidence, verdict: Verdict, more_seeds: int | None, scores: Sequence[str]
) -> str:
    if verdict is Verdict.SATURATED:
        return _saturated(done, scores)
    if verdict is Verdict.FLAT:
        sd = math.sqrt(done.noise.variance)
        return f"no bump as high as the standard deviation of a seed ({sd:.2g}): " + _course(
            done, seen
        )
    if verdict is not Verdict.NOT_RESOLVED:
        return _course(done, seen)
    return f"{_reason(done, more_seeds)}: {_course(done, seen)}"


def _reason(done: Line, more_seeds: int | None) -> str:
    """Say why a line is not resolved, and how many more seeds would help, if they would."""
    if len(done.betas) < FEWEST:
        return f"takes three β, has {len(done.betas)}"
    if not inner_of(done.collapsed).any():
        return "every β between the ends has collapsed (fewer than two active latents)"
    if done.noise.df < 1:
        return "takes two seeds or more a configuration"
    if more_seeds is None:
        return "neither one peak nor flat, and more seeds will hardly tell"
    return f"needs about {labels.more_seeds(more_seeds)} a configuration"


def _saturated(done: Line, scores: Sequence[str]) -> str:
    above = int((configuration_means(done.values) > CEILING).sum())
    stricter = [name for name in STRICTER if name in scores and name != done.score]
    look = f"look at {stricter[0]}" if stricter else "this study has no stricter score"
    many = f"{above} of {len(done.betas)} configurations"
    return f"{many} exceed {CEILING} and cannot be told apart: {look}"


def _course(done: Line, seen: Evidence) -> str:
    """Return the score at the first, the best and the last β, with both p-values."""
    means, last = configuration_means(done.values), len(done.betas) - 1
    inner = inner_of(done.collapsed)
    notes = {0: "", last: ""}
    if inner.any():
        top = int(np.argmax(np.where(inner, means, -np.inf)))
        collapsed = "collapsed, " if done.collapsed[last] else ""
        rise, fall = f" (rise: {_p(seen.p_rise)})", f" ({collapsed}fall: {_p(seen.p_fall)})"
        notes = {0: "", top: rise, last: fall} if done.noise.df else {0: "", top: "", last: ""}
    return ", ".join(f"{means[i]:.3f} at β = {done.betas[i]:.4g}{n}" for i, n in notes.items())


def _p(value: Floats) -> str:
    return f"p = {value:.3f}" if value >= 0.001 else "p < 0.001"
