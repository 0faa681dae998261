from collections.abc import Sequence

import numpy as np
import pytest

from sweeps.statistics.inverted_u import (
    Fall,
    Verdict,
    evidence,
    falls,
    seeds_to_settle,
    verdicts,
)

# Shapes: C configurations, S seeds, T studies.

Means = Sequence[float] | np.ndarray

BETAS = (0.1, 0.5, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
STUDIES = 1000
AT_MOST = 0.05 + 2.3 * np.sqrt(0.05 * 0.95 / STUDIES)

# curves of the quick study's kind, as measured on 32×32 sprites with 5 latents and smoothed;
# the last configuration has collapsed
HIGGINS = (0.73, 0.79, 0.81, 0.84, 0.84, 0.82, 0.62, 0.20)
MIG = (0.04, 0.06, 0.12, 0.16, 0.22, 0.25, 0.15, 0.02)


def draw(
    means: Means,
    *,
    n_collapsed: int = 0,
    sd: tuple[float, float] = (0.03, 0.05),
    seeds: int = 3,
    shared: float = 0.2,
    turned: float = 0.0,
) -> np.ndarray:
    """1,000 studies [T, C, S]: noise differs by configuration and is partly common to a seed.

    A share `turned` of the seeds falls into a local optimum that has a fifth of the score.
    """
    rng = np.random.default_rng(0)
    configurations = len(means)
    spread = rng.uniform(*sd, size=(STUDIES, configurations, 1))
    spread[:, configurations - n_collapsed :] = 0.005
    own, common = (
        rng.normal(size=(STUDIES, configurations, seeds)),
        rng.normal(size=(STUDIES, 1, seeds)),
    )
    kept = np.where(rng.random(own.shape) < turned, 0.2, 1.0)
    return np.array(means)[:, None] * kept + spread * (
        np.sqrt(1 - shared) * own + np.sqrt(shared) * common
    )


def collapsed(means: Means, n_collapsed: int) -> np.ndarray:
    """Which configurations have collapsed: the last."""
    return np.arange(len(means)) >= len(means) - n_collapsed


def share(verdict: Verdict, values: np.ndarray, n_collapsed: int = 0) -> float:
    """How many of the studies get this verdict."""
    found = verdicts(evidence(values, collapsed(values[0], n_collapsed)))
    return float((found == verdict).mean())


class TestCalibration:
    @pytest.mark.parametrize("turned", [0.0, 0.3])
    @pytest.mark.parametrize("shared", [0.0, 0.5])
    @pytest.mark.parametrize("sd", [(0.03, 0.05), (0.02, 0.04)], ids=["higgins", "mig"])
    @pytest.mark.parametrize(
        ("means", "n_collapsed"),
        [
            pytest.param([0.8] * 7, 0, id="flat"),
            pytest.param(np.linspace(0.6, 0.9, 7), 0, id="only rises"),
            pytest.param(np.linspace(0.9, 0.6, 7), 0, id="only falls"),
            pytest.param([0.8] * 6 + [0.2], 1, id="flat, then collapse"),
            pytest.param([0.8, 0.7, 0.6, 0.5, 0.6, 0.7, 0.8], 0, id="a dip"),
        ],
    )
    def test_is_rare_where_there_is_no_inverted_u(
        self, means: Means, n_collapsed: int, sd: tuple[float, float], shared: float, turned: float
    ) -> None:
        """At most 5 % of 1,000 studies are called an inverted U, plus 2.3 standard errors.

        Flat ones in about 1 %, as both flanks must be shown; where a collapse shows the fall, up
        to 5 %.
        """
        values = draw(means, n_collapsed=n_collapsed, sd=sd, shared=shared, turned=turned)
        assert share(Verdict.INVERTED_U, values, n_collapsed) <= AT_MOST

    @pytest.mark.parametrize("means", [[0.4] + [0.8] * 6, [0.8] * 6 + [0.4]], ids=["left", "right"])
    def test_keeps_its_level_in_the_worst_case(self, means: Means) -> None:
        """With one flank beyond doubt, the other alone is tested at 5 %.

        The margin is 2.3 standard errors of a share of 1,000: a true 5 % passes in 99 of 100.
        """
        assert share(Verdict.INVERTED_U, draw(means)) <= AT_MOST

    def test_keeps_its_level_where_noise_grows_along_the_line(self) -> None:
        """The end that decides may be the noisiest configuration: .05 against .03 at the other end.

        With the pooled variance alone this is 7 %, beyond the same margin of 2.3 standard errors.
        """
        noise = np.random.default_rng(1).normal(size=(STUDIES, 7, 3))
        values = noise * np.linspace(0.03, 0.05, 7)[:, None]
        values[:, 0] -= 1
        assert share(Verdict.INVERTED_U, values) <= AT_MOST

    @pytest.mark.parametrize(
        ("means", "sd"), [(HIGGINS, (0.03, 0.05)), (MIG, (0.02, 0.04))], ids=["higgins", "mig"]
    )
    def test_three_seeds_find_the_inverted_u_of_the_quick_study(
        self, means: Means, sd: tuple[float, float]
    ) -> None:
        """At least 80 % of 1,000 studies of its size are called what they are (about 93 %)."""
        assert share(Verdict.INVERTED_U, draw(means, n_collapsed=1, sd=sd), 1) >= 0.8

    @pytest.mark.parametrize(("seeds", "power"), [(3, 0.75), (5, 0.95)])
    def test_few_seeds_find_the_inverted_u_of_long_runs(self, seeds: int, power: float) -> None:
        """Though 30 % of the seeds fall into the local optimum (about 83 and 99 %)."""
        long = [0.05, 0.1, 0.3, 0.35, 0.32, 0.06, 0.0]
        values = draw(long, n_collapsed=1, sd=(0.02, 0.04), seeds=seeds, turned=0.3)
        assert share(Verdict.INVERTED_U, values, 1) >= power

    def test_a_peak_just_before_the_collapse_is_one(self) -> None:
        """Too little capacity is the right side of the curve; the fall is no gradual one."""
        values = draw([*np.linspace(0.6, 0.9, 6), 0.2], n_collapsed=1)
        seen = evidence(values, collapsed(values[0], 1))
        assert (verdicts(seen) == Verdict.INVERTED_U).mean() > 0.99
        assert (falls(seen) == Fall.COLLAPSE).mean() >= 1 - AT_MOST

    def test_a_gradual_fall_is_told_from_a_collapse(self) -> None:
        """It is shown among configurations with two or more active latents."""
        values = draw(HIGGINS, n_collapsed=1)
        assert (falls(evidence(values, collapsed(values[0], 1))) == Fall.GRADUAL).mean() > 0.9

    def test_flat_is_rare_where_there_is_a_bump_worth_the_name(self) -> None:
        """A bump as high as the standard deviation of a seed is denied in at most 5 % of studies.

        Same margin as above: 2.3 standard errors.
        """
        values = draw([0.0, 0.02, 0.04, 0.04, 0.04, 0.02, 0.0], sd=(0.04, 0.04), shared=0, seeds=6)
        assert share(Verdict.FLAT, values) <= AT_MOST

    @pytest.mark.parametrize(
        ("ends", "verdict"), [((0.5, 0.9), Verdict.RISING), ((0.9, 0.5), Verdict.FALLING)]
    )
    def test_rising_and_falling(self, ends: tuple[float, float], verdict: Verdict) -> None:
        """A steep rise to the last β, or fall from the first, is mostly seen by ten seeds."""
        assert share(verdict, draw(np.linspace(*ends, 7), seeds=10)) >= 0.8

    @pytest.mark.parametrize("n_collapsed", [0, 1])
    def test_flat_takes_many_seeds(self, n_collapsed: int) -> None:
        """Twenty seeds show that there is no bump, whether or not a collapse follows."""
        values = draw([0.8] * 6 + [0.2] * n_collapsed, n_collapsed=n_collapsed, seeds=20)
        assert share(Verdict.FLAT, values, n_collapsed) >= 0.5

    def test_a_dip_is_not_resolved(self) -> None:
        """It is no bump, and not flat; more seeds do not help, and none are asked for."""
        dip = [0.8, 0.7, 0.6, 0.5, 0.6, 0.7, 0.8]
        values = draw(dip, seeds=5)
        assert share(Verdict.NOT_RESOLVED, values) >= 0.95
        assert np.isnan(seeds_to_settle(values, collapsed(dip, 0))).mean() > 0.95

    def test_seeds_asked_for_are_about_those_it_takes(self) -> None:
        """Where three seeds are too few, the median of the seeds asked for resolves 60 to 95 %."""
        means, sd = [0.0, 0.03, 0.05, 0.05, 0.05, 0.03, 0.0], (0.04, 0.04)
        few = draw(means, sd=sd, shared=0)
        unsettled = verdicts(evidence(few, collapsed(means, 0))) == Verdict.NOT_RESOLVED
        assert unsettled.mean() > 0.5
        asked = np.nanmedian(seeds_to_settle(few[unsettled], collapsed(means, 0)))
        many = draw(means, sd=sd, shared=0, seeds=int(np.ceil(asked)))
        assert 0.6 <= share(Verdict.INVERTED_U, many) <= 0.95
