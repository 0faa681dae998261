"""How many latents: what each size loses against the best, and the smallest that suffices."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sweeps.analysis.best import best_configuration, may_win
from sweeps.analysis.curve import Line, ScoredConfiguration
from sweeps.labels import more_seeds, score_text
from sweeps.statistics.intervals import pooled_spread
from sweeps.statistics.with_best import gaps_to_best, seeds_to_exclude

MARGINS = {"sap": 0.02, "modularity": 0.02, "explicitness": 0.02}
MARGIN = 0.05
"""A loss of score too small to care for: of scores from 0 to 1 that models reach half of. Those in
`MARGINS` differ less between models."""


@dataclass(frozen=True)
class LatentSize:
    """The best configuration of a latent size beside the best of all other sizes.

    `gap` is negative where it loses, with an interval from `low` to `high` that holds for all
    sizes at once. `active` is how many latents the configuration uses, a mean over seeds.
    """

    best: ScoredConfiguration
    gap: float
    low: float
    high: float
    active: float
    more_seeds: int | None


@dataclass(frozen=True)
class LatentSizes:
    """The smallest latent size that loses no more than the margin, None where none is shown to.

    `shown` is that size, or the one that fewest seeds would show to suffice.
    """

    sizes: tuple[LatentSize, ...]
    margin: float
    smallest: int | None
    shown: LatentSize | None
    text: str

    @property
    def more_seeds(self) -> int | None:
        """About how many more seeds a configuration would name a size; None if one is named."""
        return None if self.smallest is not None or self.shown is None else self.shown.more_seeds


def margin_of(score: str) -> float:
    """Return the loss of a score that is too small to care for.

    >>> margin_of("mig"), margin_of("sap_active")
    (0.05, 0.02)
    """
    stem = score.removesuffix("_sampled").removesuffix("_active")
    return MARGINS.get(stem, MARGIN)


def compare_sizes(lines: Sequence[Line], *, axes: tuple[tuple[str, Any], ...] = ()) -> LatentSizes:
    """Compare the latent sizes of one facet by the best configuration of each.

    Args:
        lines: the lines of one score.
        axes: the further axes' values of the facet.
    """
    of_facet = [line for line in lines if line.axes == axes]
    margin = margin_of(of_facet[0].score) if of_facet else MARGIN
    found = [(line, best) for line in of_facet if (best := best_configuration(line)) is not None]
    if len(found) < 2:
        return LatentSizes((), margin, None, None, "takes two latent sizes, has one")
    sizes = _sizes(found, margin)
    enough = [size for size in sizes if size.low >= -margin]
    if enough:
        return LatentSizes(
            sizes, margin, enough[0].best.latent_dim, enough[0], _said(enough[0], sizes)
        )
    open_ = [size for size in sizes if size.more_seeds is not None]
    if not open_:  # the intervals of single seeds are not known
        return LatentSizes(sizes, margin, None, None, "not resolved: takes two seeds or more")
    shown = min(open_, key=lambda size: size.more_seeds or 0)
    return LatentSizes(sizes, margin, None, shown, _not_resolved(shown, sizes, margin))


def _sizes(
    found: Sequence[tuple[Line, ScoredConfiguration]], margin: float
) -> tuple[LatentSize, ...]:
    means = np.array([best.mean for _, best in found])
    counts = np.array([float(best.n) for _, best in found])
    finished = [line.finished for line, _ in found]
    seeds = max(line.values.shape[-1] for line in finished)
    able = [line.values[may_win(line.collapsed)] for line in finished]
    padded = [
        np.pad(one, ((0, 0), (0, seeds - one.shape[-1])), constant_values=np.nan) for one in able
    ]
    spread = pooled_spread(np.concatenate(padded))
    gaps = gaps_to_best(means, counts, spread)
    known = bool(spread.df > 0)
    needed = seeds_to_exclude(gaps, counts, margin=margin)
    return tuple(
        LatentSize(
            best=best,
            gap=float(gaps.mean[i]),
            low=float(gaps.low[i]) if known else math.nan,
            high=float(gaps.high[i]) if known else math.nan,
            active=_active(line, best),
            more_seeds=_more(float(needed[i]), best.n) if known else None,
        )
        for i, (line, best) in enumerate(found)
    )


def _active(line: Line, best: ScoredConfiguration) -> float:
    return float(line.active_latents[line.betas == best.beta][0])


def _more(needed: float, have: int) -> int | None:
    return max(math.ceil(needed) - have, 1) if math.isfinite(needed) else None


def _other(size: LatentSize, sizes: Sequence[LatentSize]) -> LatentSize:
    """Return the best of the other sizes."""
    return max((one for one in sizes if one is not size), key=lambda one: one.best.mean)


def _said(size: LatentSize, sizes: Sequence[LatentSize]) -> str:
    M, other = size.best.latent_dim, _other(size, sizes).best.latent_dim
    used = f"about {size.active:.0f} are active"
    if size.low > 0:
        return f"{M} latents gain at least {score_text(size.low)} over {other}; {used}: take {M}"
    lost = f"{M} latents lose at most {score_text(max(-size.low, 0.0))} against {other}"
    return f"{lost}; {used}: take {M}"


def _not_resolved(size: LatentSize, sizes: Sequence[LatentSize], margin: float) -> str:
    M, other = size.best.latent_dim, _other(size, sizes).best.latent_dim
    more = f"about {more_seeds(size.more_seeds or 0)} a configuration"
    return (
        f"not resolved: {M} latents may lose up to {score_text(-size.low)} against {other}, and "
        f"{margin:g} would not matter; {more} would tell"
    )
