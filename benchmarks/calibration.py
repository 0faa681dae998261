"""Print how often the verdicts and intervals of the curve are right, on synthetic studies.

    python benchmarks/calibration.py [STUDIES]

Studies have the size of the quick one: 7 or 8 β, 3 seeds. The noise of a configuration has a
standard deviation drawn anew for every configuration, .03 to .05 for the Higgins score and .02 to
.04 for MIG; a fifth of its variance is shared by the configurations of a seed. A collapsed
configuration hardly varies (.005). The curves are those measured on 32×32 sprites with 5 latents,
smoothed.
"""

import sys
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sweeps.analysis.curve import Line
from sweeps.analysis.latent_sizes import MARGIN
from sweeps.analysis.paper_claims import (
    ClaimAnswer,
    larger_layers_want_larger_beta,
    reconstruction_costs_score,
    reconstruction_ranks_backwards,
)
from sweeps.statistics.best_subset import left_out_score, may_be_best
from sweeps.statistics.contrasts import residual_noise
from sweeps.statistics.intervals import configuration_means, intervals, pooled_spread
from sweeps.statistics.inverted_u import POWER, Verdict, evidence, seeds_to_settle, verdicts
from sweeps.statistics.with_best import gaps_to_best

SHARED = 0.2
BETAS = np.array([0.1, 0.5, 2, 4, 8, 16, 32, 64])


class Noise(NamedTuple):
    """The range of the standard deviations, drawn from it or rising along the line.

    A share `turned` of the seeds falls into the local optimum in which x and y are turned by 45°,
    and keeps only the part `kept` of the score; half of them do so at every β.
    """

    name: str
    low: float
    high: float
    rising: bool = False
    turned: float = 0.0
    kept: float = 1.0


HIGGINS, MIG = Noise("Higgins", 0.03, 0.05), Noise("MIG", 0.02, 0.04)
TURNED_HIGGINS = Noise("Higgins, 30 % turned", 0.03, 0.05, turned=0.3, kept=0.62)
TURNED_MIG = Noise("MIG, 30 % turned", 0.02, 0.04, turned=0.3, kept=0.2)
EVEN = Noise(".04", 0.04, 0.04)
UNEVEN = Noise(".03 rising to .05", 0.03, 0.05, rising=True)


class Truth(NamedTuple):
    """A curve without noise; the last `n_collapsed` configurations have collapsed."""

    name: str
    means: tuple[float, ...]
    n_collapsed: int = 0

    @property
    def collapsed(self) -> NDArray[np.bool_]:
        """Whether a configuration has collapsed: bool [C]."""
        return np.arange(len(self.means)) >= len(self.means) - self.n_collapsed


NULLS = (
    Truth("flat", (0.8,) * 7),
    Truth("only rises", (0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9)),
    Truth("only falls", (0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6)),
    Truth("flat, then collapse", (0.8,) * 6 + (0.2,), 1),
    Truth("rises, then collapse", (0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.2), 1),
    Truth("a dip", (0.8, 0.75, 0.7, 0.65, 0.7, 0.75, 0.8)),
    Truth("rises at once, then flat (worst case)", (0.4,) + (0.8,) * 6),
    Truth("flat, then falls at the end (worst case)", (0.8,) * 6 + (0.4,)),
)
U_HIGGINS = Truth("Higgins", (0.73, 0.79, 0.81, 0.84, 0.84, 0.82, 0.62, 0.20), 1)
U_MIG = Truth("MIG", (0.04, 0.06, 0.12, 0.16, 0.22, 0.25, 0.15, 0.02), 1)
FEW_HIGGINS = Truth("Higgins, 5 β", (0.73, 0.81, 0.84, 0.62, 0.20), 1)
FEW_MIG = Truth("MIG, 5 β", (0.04, 0.12, 0.25, 0.15, 0.02), 1)
LATE_MIG = Truth("MIG, no fall before collapse", (0.04, 0.06, 0.12, 0.16, 0.2, 0.25, 0.25, 0.02), 1)
PEAK = Truth("a clear peak", (0.2, 0.3, 0.8, 0.4, 0.3, 0.2))
LONG = Truth("long runs", (0.05, 0.1, 0.3, 0.35, 0.32, 0.06, 0.0), 1)
LONG_LESS = Truth("long runs, .07 less", (0.05, 0.07, 0.23, 0.28, 0.25, 0.06, 0.0), 1)
PEAK_OF_THREE = Truth("one β alone", (0.05, 0.1, 0.1, 0.35, 0.1, 0.06, 0.0), 1)
PLATEAU = Truth("a plateau", (0.05, 0.35, 0.35, 0.35, 0.35, 0.06, 0.0), 1)
LOW_U = Truth("a bump of one seed's scatter", (0.76, 0.78, 0.8, 0.8, 0.8, 0.78, 0.76))


def draw(
    truth: Truth, *, studies: int, seeds: int = 3, noise: Noise = HIGGINS
) -> NDArray[np.float64]:
    """Return scores of synthetic studies: [studies, C, seeds]."""
    rng = np.random.default_rng(0)
    configurations = len(truth.means)
    drawn = rng.uniform(noise.low, noise.high, (studies, configurations))
    rising = np.linspace(noise.low, noise.high, configurations)
    spread = np.where(truth.collapsed, 0.005, rising if noise.rising else drawn)[..., None]
    own = rng.standard_normal((studies, configurations, seeds))
    shared = rng.standard_normal((studies, 1, seeds))
    deviations = np.sqrt(1 - SHARED) * own + np.sqrt(SHARED) * shared
    means = np.array(truth.means)[:, None]
    return np.asarray(means * _kept(truth, noise, own.shape, rng) + spread * deviations)


def _kept(
    truth: Truth, noise: Noise, shape: tuple[int, ...], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return the part of the score that is kept by every seed: [studies, C, seeds]."""
    if not noise.turned:
        return np.ones(shape)
    alone, of_seed = rng.random(shape), rng.random((shape[0], 1, shape[2]))
    luck = np.where(rng.random(shape) < 0.5, of_seed, alone)
    return np.where((luck < noise.turned) & ~truth.collapsed[:, None], noise.kept, 1.0)


def shares(truth: Truth, values: NDArray[np.float64]) -> dict[Verdict, float]:
    """Return the share of studies with each verdict."""
    found = verdicts(evidence(values, truth.collapsed))
    return {verdict: float((found == verdict).mean()) for verdict in Verdict}


def line(truth: Truth, values: NDArray[np.float64], *, latent_dim: int = 5) -> Line:
    """Return one synthetic study as a line."""
    configurations = len(truth.means)
    return Line(
        axes=(),
        latent_dim=latent_dim,
        score="score",
        betas=BETAS[:configurations],
        beta_norms=BETAS[:configurations] * latent_dim / 1024,
        seeds=tuple(range(values.shape[-1])),
        values=values,
        complete=np.ones(configurations, dtype=np.bool_),
        n_failed=np.zeros(configurations, dtype=np.int64),
        n_pruned=np.zeros(configurations, dtype=np.int64),
        active_latents=np.where(truth.collapsed, 0.0, 5.0),
        protocols=("",) * configurations,
    )


def print_row(name: str, columns: Sequence[object]) -> None:
    """Print one row of a Markdown table."""
    print("|", " | ".join([name, *map(str, columns)]), "|")


def print_head(title: str, columns: Sequence[str]) -> None:
    """Print the head of a Markdown table."""
    print(f"\n{title}\n")
    print_row("", columns)
    print_row("---", ["---"] * len(columns))


def percent(share: float) -> str:
    """Write a share as a percentage."""
    return f"{100 * share:.1f} %"


def print_nulls(studies: int) -> None:
    """Print the verdicts on curves that are no inverted U, and what the naive rule says."""
    print_head(
        "Not an inverted U: share of verdicts (inverted U must be <= 5 %)",
        ["noise", *Verdict, "naive: the best mean lies inside"],
    )
    for truth in NULLS:
        if truth.name == "rises, then collapse":  # that is an inverted U
            continue
        for noise in (HIGGINS, MIG, UNEVEN, TURNED_HIGGINS, TURNED_MIG):
            values = draw(truth, studies=studies, noise=noise)
            means = configuration_means(values)
            best = means.argmax(axis=-1)
            naive = (best > 0) & (best < len(truth.means) - 1)
            found = shares(truth, values).values()
            print_row(truth.name, [noise.name, *map(percent, found), percent(float(naive.mean()))])


def print_power(studies: int) -> None:
    """Print the verdicts on inverted U, by seeds each, and the seeds for a power of 80 %."""
    print_head(
        "An inverted U: share of verdicts by seeds a configuration",
        ["seeds", *Verdict, "yes at both of two latent sizes"],
    )
    needed: dict[str, int] = {}
    for truth, noise in (
        (U_HIGGINS, HIGGINS),
        (U_MIG, MIG),
        (FEW_HIGGINS, HIGGINS),
        (FEW_MIG, MIG),
        (LOW_U, HIGGINS),
        (LATE_MIG, MIG),
        (LONG, MIG),
        (LONG, TURNED_MIG),
    ):
        for seeds in (2, 3, 4, 5, 6, 8, 10, 12, 16):
            found = shares(truth, draw(truth, studies=studies, seeds=seeds, noise=noise))
            yes = found[Verdict.INVERTED_U]
            print_row(
                f"{truth.name} ({noise.name})",
                [seeds, *map(percent, found.values()), percent(yes**2)],
            )
            if yes > POWER:
                needed.setdefault(f"{truth.name} ({noise.name})", seeds)
            if yes > 0.99:
                break
    print(
        "\nSeeds a configuration for a power of 80 %:",
        ", ".join(f"{k}: {n}" for k, n in needed.items()),
    )


def print_settling(studies: int) -> None:
    """Print the seeds that unsettled studies of three seeds ask for."""
    print_head(
        "Seeds a configuration asked for by the studies of 3 seeds that are not resolved",
        ["share", "lower quartile", "median", "upper quartile"],
    )
    for truth in (U_HIGGINS, U_MIG, LOW_U, NULLS[0]):
        values = draw(truth, studies=studies)
        open_ = verdicts(evidence(values, truth.collapsed)) == Verdict.NOT_RESOLVED
        asked = seeds_to_settle(values[open_], truth.collapsed)
        quartiles = np.quantile(asked, [0.25, 0.5, 0.75]) if len(asked) else [np.nan] * 3
        print_row(truth.name, [percent(float(open_.mean())), *(f"{q:.0f}" for q in quartiles)])


def print_coverage(studies: int) -> None:
    """Print how often the intervals hold the truth."""
    print_head(
        "Coverage of 95 %, and bias of the best configuration's score",
        ["noise", "seeds", "mean", "worst", "percentile bootstrap", "range of best β",
         "β in the range", "bias, mean of best", "bias, leave-one-seed-out"],
    )  # fmt: skip
    cases = [(NULLS[0], HIGGINS), (NULLS[3], HIGGINS), (U_HIGGINS, HIGGINS), (U_MIG, MIG)]
    for truth, noise in [*cases, (U_HIGGINS, UNEVEN), (LONG, TURNED_MIG)]:
        for seeds in (3, 5, 6, 10):
            print_row(truth.name, [noise.name, seeds, *_coverage(truth, noise, seeds, studies)])


def _coverage(truth: Truth, noise: Noise, seeds: int, studies: int) -> list[str]:
    values = draw(truth, studies=studies, noise=noise, seeds=seeds)
    means = np.array(truth.means)
    means = np.where(truth.collapsed, means, means * (1 - noise.turned * (1 - noise.kept)))
    _, low, high = intervals(values, collapsed=truth.collapsed)
    held = ((low <= means) & (means <= high)).mean(axis=0)
    range_ = may_be_best(
        values, residual_noise(values, members=~truth.collapsed), able=~truth.collapsed
    )
    held_best = range_[:, means.argmax()].mean()  # the first, of equal ones
    top = configuration_means(values)
    chosen = means[top.argmax(axis=-1)]
    bias = [(top.max(axis=-1) - chosen).mean(), (left_out_score(values) - chosen).mean()]
    shown = [held.mean(), held.min(), bootstrap_coverage(values, means), held_best]
    size = f"{range_.sum(axis=-1).mean():.1f}"
    return [*map(percent, shown), size, *(f"{b:+.4f}" for b in bias)]


def bootstrap_coverage(values: NDArray[np.float64], means: NDArray[np.float64]) -> float:
    """Return how often the percentile bootstrap of each configuration alone holds its mean."""
    rng = np.random.default_rng(0)
    seeds = values.shape[-1]
    draws = rng.integers(seeds, size=(500, seeds))
    low, high = np.quantile(values[..., draws].mean(axis=-1), [0.025, 0.975], axis=-1)
    return float(((low <= means) & (means <= high)).mean())


SIZES = (
    ("equal", (LONG, LONG, LONG)),
    ("a first size loses .07", (LONG_LESS, LONG, LONG)),
    ("a peak, two plateaus", (PEAK_OF_THREE, PLATEAU, PLATEAU)),
)


def print_latent_sizes(studies: int) -> None:
    """Print how often what a latent size loses at most is right, the choice of β included."""
    print_head(
        "Three latent sizes: share of studies whose bounds on what each size loses hold",
        ["noise", "seeds", "the worst size's", "all at once", "names a size, and is right",
         "names one that loses more than .05"],
    )  # fmt: skip
    for name, truths in SIZES:
        for noise in (MIG, TURNED_MIG):
            for seeds in (3, 5, 6, 12, 24):
                print_row(name, [noise.name, seeds, *_held(truths, noise, seeds, studies)])


def _held(truths: Sequence[Truth], noise: Noise, seeds: int, studies: int) -> list[str]:
    values = [
        draw(truth, studies=len(truths) * studies, seeds=seeds, noise=noise)[k::3]
        for k, truth in enumerate(truths)
    ]
    kept = 1 - noise.turned * (1 - noise.kept)
    best = np.array([max(truth.means) * kept for truth in truths])
    gap = best - [max(np.delete(best, k)) for k in range(len(best))]
    tops = np.stack([one.mean(axis=-1).max(axis=-1) for one in values], axis=-1)
    able = [one[:, ~truth.collapsed] for one, truth in zip(values, truths, strict=True)]
    low = gaps_to_best(
        tops, np.full(len(truths), seeds), pooled_spread(np.concatenate(able, axis=1))
    ).low
    held, enough = low <= gap, low >= -MARGIN
    named = np.where(enough.any(axis=-1), enough.argmax(axis=-1), -1)
    right = (named >= 0) & (gap[named] >= -MARGIN)
    wrong = (named >= 0) & (gap[named] < -MARGIN)
    found = [held.mean(axis=0).min(), held.all(axis=-1).mean(), right.mean(), wrong.mean()]
    return [percent(float(share)) for share in found]


def print_claims(studies: int) -> None:
    """Print how often each claim is called supported, where it is false and where it is true."""
    print_head("Claims: share called supported (3 seeds)", ["it is", "supported"])
    rng = np.random.default_rng(0)
    errors = (50 + 20 * np.log1p(BETAS))[:, None] + rng.standard_normal((studies, 8, 3))
    worse, flat = U_MIG, Truth("flat", (0.2,) * 7 + (0.02,), 1)
    falls = Truth("falls", (0.25, 0.22, 0.2, 0.16, 0.12, 0.1, 0.06, 0.02), 1)
    early = Truth("early", (0.12, 0.16, 0.25, 0.16, 0.12, 0.06, 0.05, 0.02), 1)
    for name, wanted, claim, truth in (
        ("reconstruction costs score", "true", reconstruction_costs_score, worse),
        ("reconstruction costs score", "false", reconstruction_costs_score, falls),
        ("reconstruction ranks backwards", "true", reconstruction_ranks_backwards, worse),
        ("reconstruction ranks backwards", "false", reconstruction_ranks_backwards, flat),
    ):
        values = draw(truth, studies=studies, noise=MIG)
        found = [
            claim(line(truth, study), line(truth, error)).answer
            for study, error in zip(values, errors, strict=True)
        ]
        print_row(name, [wanted, percent(found.count(ClaimAnswer.SUPPORTED) / studies)])
    for wanted, first in ("true", early), ("false", worse):
        small = draw(first, studies=2 * studies, noise=MIG)[:studies]
        large = draw(worse, studies=2 * studies, noise=MIG)[studies:]
        found = [
            larger_layers_want_larger_beta(
                [line(first, a, latent_dim=5), line(worse, b, latent_dim=20)]
            ).answer
            for a, b in zip(small, large, strict=True)
        ]
        print_row(
            "larger layers want larger β (M = 5, 20)",
            [wanted, percent(found.count(ClaimAnswer.SUPPORTED) / studies)],
        )


def main() -> None:
    """Print every table."""
    studies = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    print(f"{studies} studies a row (claims: {studies // 5})")
    print_nulls(studies)
    print_power(studies)
    print_settling(studies)
    print_coverage(studies)
    print_latent_sizes(studies)
    print_claims(studies // 5)


if __name__ == "__main__":
    main()
