"""Which β is best, how sure that is, and which to try next."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from sweeps.analysis.best import best_range, next_beta
from sweeps.analysis.curve import Line, curve
from tests.doubles.curve_lines import line_of
from tests.doubles.frames import best_configurations, end, study

# Shapes: C configurations, S seeds.

BETAS = (0.5, 1.0, 2.0, 4.0, 8.0)


def line(means: Sequence[float], *, n_collapsed: int = 0, sd: float = 0.01, seeds: int = 4) -> Line:
    """A line with exactly these means and little noise."""
    noise = np.random.default_rng(0).normal(size=(len(means), seeds))
    noise -= noise.mean(axis=1, keepdims=True)
    values = np.array(means)[:, None] + sd * noise
    return line_of(values, betas=BETAS, n_collapsed=n_collapsed)


def incomplete(of: Line, *, keep: list[int]) -> Line:
    """The line with these configurations alone complete."""
    return replace(of, complete=np.isin(np.arange(len(of.betas)), keep))


class TestBestRange:
    def test_is_one_beta_where_the_peak_is_clear(self) -> None:
        """Far above the others, the best β stands alone, in β and in β_norm."""
        found = best_range(line([0.1, 0.2, 0.5, 0.2, 0.1]))
        assert (found.low, found.high, found.norm_low, found.norm_high) == (2, 2, 0.02, 0.02)
        assert (found.open_low, found.open_high) == (False, False)

    def test_holds_what_cannot_be_told_apart(self) -> None:
        """A flat top is named as a range."""
        found = best_range(line([0.1, 0.3, 0.301, 0.302, 0.1]))
        assert (found.low, found.high) == (1.0, 4.0)

    @pytest.mark.parametrize(
        ("means", "ends"),
        [([0.5, 0.4, 0.2, 0.1, 0.1], (True, False)), ([0.1, 0.1, 0.2, 0.4, 0.5], (False, True))],
    )
    def test_is_open_at_the_border(self, means: Sequence[float], ends: tuple[bool, bool]) -> None:
        """If the best may be the first or last β tried, it may lie beyond."""
        found = best_range(line(means))
        assert (found.open_low, found.open_high) == ends

    def test_is_all_there_is_with_one_seed(self) -> None:
        """Without noise to go by, no β is ruled out."""
        found = best_range(line([0.1, 0.2, 0.5, 0.2, 0.1], seeds=1))
        assert (found.low, found.high, found.open_low, found.open_high) == (0.5, 8, True, True)

    def test_does_not_hold_a_collapsed_configuration(self) -> None:
        """High without active latents, it is neither best nor does it rule the others out."""
        found = best_range(line([0.1, 0.2, 0.5, 0.2, 0.9], n_collapsed=1))
        assert (found.low, found.high, found.open_high) == (2, 2, False)

    def test_is_open_at_the_border_of_all_with_a_score(self) -> None:
        """Configurations that a search has not completed bound the grid too."""
        found = best_range(incomplete(line([0.1, 0.2, 0.5, 0.3, 0.1]), keep=[2, 3]))
        assert (found.low, found.high, found.open_low, found.open_high) == (2, 2, False, False)

    def test_widens_with_confidence(self) -> None:
        """At 99.9 % more β remain than at 50 %."""
        noisy = line([0.1, 0.25, 0.3, 0.25, 0.1], sd=0.05)
        sure, unsure = (best_range(noisy, confidence=level) for level in (0.999, 0.5))
        assert sure.low < unsure.low <= unsure.high < sure.high


class TestNextBeta:
    @pytest.mark.parametrize(
        ("means", "n_collapsed", "expected"),
        [
            pytest.param([0.1, 0.2, 0.5, 0.2, 0.1], 0, None, id="inside"),
            pytest.param([0.1, 0.2, 0.3, 0.4, 0.5], 0, 16.0, id="last: one step on"),
            pytest.param([0.5, 0.4, 0.3, 0.2, 0.1], 0, 0.25, id="first: one step back"),
            pytest.param([0.1, 0.2, 0.3, 0.5, 0.0], 1, 5.7, id="before collapse: half the gap"),
            pytest.param([0.1, 0.2, 0.5, 0.3, 0.0], 1, None, id="inside, collapse further on"),
            pytest.param([0.5, 0.0], 1, 0.71, id="first, before collapse"),
            pytest.param([0.5], 0, 1.0, id="the only one"),
            pytest.param(
                [0.1, 0.2, 0.5, 0.3, 0.9], 1, None, id="a collapsed configuration is not best"
            ),
            pytest.param([0.1, 0.5], 2, None, id="all collapsed"),
        ],
    )
    def test_goes_on_where_the_best_is_at_the_border(
        self, means: Sequence[float], n_collapsed: int, expected: float | None
    ) -> None:
        """It continues the grid in log β, or halves the gap before a collapse."""
        assert next_beta(line(means, n_collapsed=n_collapsed)) == expected

    def test_border_is_that_of_all_with_a_score(self) -> None:
        """A search completes few configurations: a best amid others has no border to go beyond."""
        found = replace(line([0.1, 0.2, 0.5, 0.3, 0.1]), betas=np.array([0.5, 1, 2, 5, 9]))
        assert next_beta(incomplete(found, keep=[2])) is None
        assert next_beta(incomplete(found.keep(np.arange(5) < 3), keep=[2])) == 4.0

    def test_is_none_that_was_tried(self) -> None:
        """Two digits cannot lie between β this close."""
        close = line_of(np.array([[0.1], [0.2], [0.3], [0.0]]), betas=(61, 62, 63, 64))
        collapsed = replace(close, active_latents=np.array([5.0, 5.0, 5.0, 0.0]))
        assert next_beta(collapsed) is None


class TestBestConfigurations:
    def top(self) -> pd.DataFrame:
        """A study whose best configurations are β=4 at 5 latents and, above it, β=16 at 10."""
        frame = study()
        for latent_dim, beta, score in ((5, 4.0, 0.5), (10, 16.0, 0.6)):
            hit = (frame["latent_dim"] == latent_dim) & (frame["beta"] == beta)
            frame.loc[hit, "mig"] = [score - 0.01, score, score + 0.01]
        return frame

    def test_are_the_highest_means_of_each_latent_size_and_of_all(self) -> None:
        """Every latent size has a best with its interval; the best of them is the best."""
        found = best_configurations(self.top(), score="mig")
        assert [
            (configuration.latent_dim, configuration.beta) for configuration in found.by_line
        ] == [(5, 4.0), (10, 16.0)]
        assert found.overall == found.by_line[1]
        assert found.overall.mean == pytest.approx(0.6)
        assert found.overall.beta_norm == 16.0 * 10 / 1024
        row = curve(self.top(), score_names=("mig",)).query("latent_dim == 10 and beta == 16")
        assert (found.overall.low, found.overall.high, found.overall.n) == tuple(
            row[["low", "high", "n"]].iloc[0]
        )

    @pytest.mark.parametrize("state", ["failed", "pruned", "running", "pending", "complete"])
    def test_are_complete(self, state: str) -> None:
        """What lacks the score of one seed, for whatever reason, is not called best."""
        found = best_configurations(
            end(self.top(), state, beta=16.0, latent_dim=10, seed=1), score="mig"
        )
        assert found.by_line[1].beta != 16.0
        assert found.overall == found.by_line[0]

    def test_have_all_their_repeats(self) -> None:
        """In a search, which adds seeds one by one, a single lucky one does not win."""
        frame = self.top()
        lucky = (frame["beta"] == 16.0) & (frame["latent_dim"] == 10) & (frame["seed"] > 0)
        found = best_configurations(frame[~lucky].assign(repeats=3), score="mig")

        assert found.overall == found.by_line[0]
        assert best_configurations(frame[~lucky], score="mig").overall.n == 1

    def test_have_not_collapsed(self) -> None:
        """A score may be high where nothing is encoded; where all have collapsed one is best."""
        frame = self.top()
        frame.loc[(frame["beta"] == 16.0) & (frame["latent_dim"] == 10), "active_latents"] = 1
        found = best_configurations(frame, score="mig")
        assert found.by_line[1].beta != 16.0
        assert found.overall == found.by_line[0]

        frame.loc[frame["latent_dim"] == 10, "active_latents"] = 1
        found = best_configurations(frame, score="mig")
        assert (found.by_line[1].beta, found.by_line[1].collapsed) == (16.0, True)
        assert found.overall == found.by_line[0]

    def test_are_found_for_each_value_of_an_axis(self) -> None:
        """Every facet has its own best configurations."""
        found = best_configurations(study(models=("mlp", "conv")), score="mig", axes=("model",))
        assert [dict(configuration.axes)["model"] for configuration in found.by_line] == [
            "conv",
            "conv",
            "mlp",
            "mlp",
        ]

    def test_take_the_smaller_beta_of_equal_configurations(self) -> None:
        """A tie is broken the same way every time."""
        found = best_configurations(study().assign(mig=0.5), score="mig")
        assert [configuration.beta for configuration in found.by_line] == [0.25, 0.25]
        assert found.overall.latent_dim == 5

    def test_are_absent_without_a_complete_configuration(self) -> None:
        """A study that has just begun has no best configuration."""
        found = best_configurations(end(study(), "pending", seed=2), score="mig")
        assert found.by_line == ()
        assert found.overall is None
