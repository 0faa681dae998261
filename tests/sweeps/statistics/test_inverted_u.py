from collections.abc import Sequence

import numpy as np
import pytest

from sweeps.statistics.inverted_u import (
    Verdict,
    evidence,
    seeds_to_settle,
    verdicts,
)

# Shapes: C configurations, S seeds, T studies.

Means = Sequence[float] | np.ndarray

BETAS = (0.1, 0.5, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
STUDIES = 1000

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
) -> np.ndarray:
    """1,000 studies [T, C, S]: noise differs by configuration and is partly common to a seed."""
    rng = np.random.default_rng(0)
    configurations = len(means)
    spread = rng.uniform(*sd, size=(STUDIES, configurations, 1))
    spread[:, configurations - n_collapsed :] = 0.005
    own, common = (
        rng.normal(size=(STUDIES, configurations, seeds)),
        rng.normal(size=(STUDIES, 1, seeds)),
    )
    return np.array(means)[:, None] + spread * (
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
    @pytest.mark.parametrize("shared", [0.0, 0.5])
    @pytest.mark.parametrize("sd", [(0.03, 0.05), (0.02, 0.04)], ids=["higgins", "mig"])
    @pytest.mark.parametrize(
        ("means", "n_collapsed"),
        [
            pytest.param([0.8] * 7, 0, id="flat"),
            pytest.param(np.linspace(0.6, 0.9, 7), 0, id="only rises"),
            pytest.param(np.linspace(0.9, 0.6, 7), 0, id="only falls"),
            pytest.param([0.8] * 6 + [0.2], 1, id="flat, then collapse"),
            pytest.param([*np.linspace(0.6, 0.9, 6), 0.2], 1, id="rises, then collapse"),
            pytest.param([0.8, 0.7, 0.6, 0.5, 0.6, 0.7, 0.8], 0, id="a dip"),
        ],
    )
    def test_yes_is_rare_where_there_is_no_inverted_u(
        self, means: Means, n_collapsed: int, sd: tuple[float, float], shared: float
    ) -> None:
        """At most 5 % of 1,000 studies are called an inverted U.

        No margin is needed: both flanks must be shown, which a flat curve manages in about 1 %
        (10 of 1,000; 50 would be 12 standard errors off), and a rising one never.
        """
        values = draw(means, n_collapsed=n_collapsed, sd=sd, shared=shared)
        assert share(Verdict.YES, values, n_collapsed) <= 0.05

    @pytest.mark.parametrize("means", [[0.4] + [0.8] * 6, [0.8] * 6 + [0.4]], ids=["left", "right"])
    def test_yes_keeps_its_level_in_the_worst_case(self, means: Means) -> None:
        """With one flank beyond doubt, the other alone is tested at 5 %.

        The margin is 2.3 standard errors of a share of 1,000: a true 5 % passes in 99 of 100.
        """
        assert share(Verdict.YES, draw(means)) <= 0.05 + 2.3 * np.sqrt(0.05 * 0.95 / STUDIES)

    def test_yes_keeps_its_level_where_noise_grows_along_the_line(self) -> None:
        """The end that decides may be the noisiest configuration: .05 against .03 at the other end.

        With the pooled variance alone this is 7 %, beyond the same margin of 2.3 standard errors.
        """
        noise = np.random.default_rng(1).normal(size=(STUDIES, 7, 3))
        values = noise * np.linspace(0.03, 0.05, 7)[:, None]
        values[:, 0] -= 1
        assert share(Verdict.YES, values) <= 0.05 + 2.3 * np.sqrt(0.05 * 0.95 / STUDIES)

    @pytest.mark.parametrize(
        ("means", "sd"), [(HIGGINS, (0.03, 0.05)), (MIG, (0.02, 0.04))], ids=["higgins", "mig"]
    )
    def test_three_seeds_find_the_inverted_u_of_the_quick_study(
        self, means: Means, sd: tuple[float, float]
    ) -> None:
        """At least 80 % of 1,000 studies of its size are called what they are (about 93 %)."""
        assert share(Verdict.YES, draw(means, n_collapsed=1, sd=sd), 1) >= 0.8

    def test_no_is_rare_where_there_is_a_bump_worth_the_name(self) -> None:
        """A bump as high as the scatter of one seed is denied in at most 5 % of 1,000 studies.

        Same margin as above: 2.3 standard errors.
        """
        values = draw([0.0, 0.02, 0.04, 0.04, 0.04, 0.02, 0.0], sd=(0.04, 0.04), shared=0, seeds=6)
        assert share(Verdict.NO, values) <= 0.05 + 2.3 * np.sqrt(0.05 * 0.95 / STUDIES)

    def test_no_is_found_where_the_curve_only_rises(self) -> None:
        """A steep rise to the border is mostly called no inverted U, also by three seeds."""
        assert share(Verdict.NO, draw(np.linspace(0.5, 0.9, 7))) >= 0.8

    def test_collapse_is_told_from_a_fall(self) -> None:
        """A flat curve that falls by collapse alone is called so, up to the 5 % of false falls."""
        values = draw([0.8] * 6 + [0.2], n_collapsed=1)
        assert share(Verdict.COLLAPSE_ONLY, values, 1) >= 0.9

    def test_seeds_asked_for_are_about_those_it_takes(self) -> None:
        """Where three seeds are too few, the median of the seeds asked for resolves 60 to 95 %."""
        means, sd = [0.0, 0.03, 0.05, 0.05, 0.05, 0.03, 0.0], (0.04, 0.04)
        few = draw(means, sd=sd, shared=0)
        unsettled = verdicts(evidence(few, collapsed(means, 0))) == Verdict.NOT_RESOLVED
        assert unsettled.mean() > 0.5
        asked = np.median(seeds_to_settle(few[unsettled], collapsed(means, 0)))
        many = draw(means, sd=sd, shared=0, seeds=int(np.ceil(asked)))
        assert 0.6 <= share(Verdict.YES, many) <= 0.95
