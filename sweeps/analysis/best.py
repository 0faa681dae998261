"""Which β of a line is best, how sure that is, what it is worth, and which β to try next.

Complete configurations are compared; the grid they lie in is that of all β with a score, of which
a search completes one or two.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from sweeps.analysis.curve import Line, ScoredConfiguration, configuration
from sweeps.statistics.best_subset import may_be_best
from sweeps.statistics.intervals import CONFIDENCE, Bools, Floats, configuration_means
from sweeps.study import ranking
from sweeps.study.ranking import Ranked


@dataclass(frozen=True)
class BestConfigurations:
    """The best complete configuration of every line that has one, and the best of all."""

    by_line: tuple[ScoredConfiguration, ...]
    overall: ScoredConfiguration | None


@dataclass(frozen=True)
class BetaRange:
    """The β among those tried that may be best, from `low` to `high`, and the same in β_norm.

    Open at an end of the grid: the best β may lie beyond it.
    """

    low: float
    high: float
    norm_low: float
    norm_high: float
    open_low: bool
    open_high: bool


def best_configurations(lines: Iterable[Line]) -> BestConfigurations:
    """Return the best configuration of every line of a score, and of all, as `ranking` says.

    Configurations are eligible if they are complete: a row without the score makes one incomplete.
    """
    found = [best_configuration(line) for line in lines]
    by_line = tuple(configuration for configuration in found if configuration is not None)
    return BestConfigurations(by_line, best_of(by_line))


def best_of(configurations: Iterable[ScoredConfiguration]) -> ScoredConfiguration | None:
    """Return the best of complete configurations, of any lines; None if there are none."""
    best = ranking.best(configuration.ranked for configuration in configurations)
    return None if best is None else best.key


def best_configuration(line: Line) -> ScoredConfiguration | None:
    """Return the best complete configuration of one line, or None if none is complete."""
    if not line.complete.any():
        return None
    done = line.finished
    best = best_index(configuration_means(done.values), done.collapsed)
    return configuration(line, int(np.flatnonzero(line.complete)[best]))


def best_index(means: Floats, collapsed: Bools) -> int:
    """Return which of the complete configurations is best, from means and collapse, each [C].

    Raises:
        ValueError: there is no configuration.
    """
    pairs = enumerate(zip(means.tolist(), collapsed.tolist(), strict=True))
    best = ranking.best(Ranked(i, i, 0, *pair) for i, pair in pairs)  # in order of β
    if best is None:
        raise ValueError("expected the means of one configuration or more, but got none")
    return best.key


def may_win(collapsed: Bools) -> Bools:
    """Return which may be best: those that have not collapsed, or all if all have: bool [C]."""
    return np.array(ranking.may_win(collapsed.tolist()), dtype=np.bool_)


def best_range(line: Line, *, confidence: float = CONFIDENCE) -> BetaRange:
    """Return the range of β that holds the best of those complete, with this confidence."""
    done, tried = line.finished, _tried(line).betas
    able = may_win(done.collapsed)
    found = may_be_best(done.values, done.noise, able=able, confidence=confidence)
    may_be = np.flatnonzero(found)
    low, high = may_be[0], may_be[-1]
    return BetaRange(
        low=float(done.betas[low]),
        high=float(done.betas[high]),
        norm_low=float(done.beta_norms[low]),
        norm_high=float(done.beta_norms[high]),
        open_low=bool(done.betas[low] == tried[0]),
        open_high=bool(done.betas[high] == tried[-1]),
    )


def next_beta(line: Line, *, beyond_range: bool = False) -> float | None:
    """Return the β to try next if the best complete configuration lies at the border, else None.

    With `beyond_range`, also if the best β may lie at an end of the grid.
    The border on the right is where the latent layer collapses, or else the largest β with a score.
    Beyond the grid it is the last step in log β further; before a collapse it halves the gap.
    Rounded to two digits it may be one of the line's own, and then there is nothing to try.
    """
    done, tried = line.finished, _tried(line)
    best = done.betas[best_index(configuration_means(done.values), done.collapsed)]
    found = _beyond(tried, int(np.searchsorted(tried.betas, best)))
    if found is None and beyond_range and len(done.betas) > 1:
        may_be = best_range(line)
        if may_be.open_high or may_be.open_low:
            found = _beyond(tried, len(tried.betas) - 1 if may_be.open_high else 0)
    beta = None if found is None else float(f"{found:.2g}")
    return None if beta in line.betas else beta


def _tried(line: Line) -> Line:
    """Return the line with the configurations that have a score of some seed."""
    return line.keep(np.asarray(np.isfinite(line.values).any(axis=-1)))


def _beyond(tried: Line, best: int) -> float | None:
    """Return the β beyond number `best`, if that is at the border and has not collapsed."""
    betas, collapsed = tried.betas, tried.collapsed
    if collapsed[best]:
        return None
    if best + 1 < len(betas) and collapsed[best + 1]:
        return math.sqrt(betas[best] * betas[best + 1])
    if best == len(betas) - 1:
        return float(betas[-1] * (betas[-1] / betas[-2] if len(betas) > 1 else 2.0))
    return float(betas[0] * betas[0] / betas[1]) if best == 0 else None
