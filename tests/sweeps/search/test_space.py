import pytest

from sweeps.search.space import Choices, Interval

BETAS = Interval(1, 64, log=True)


class TestInterval:
    @pytest.mark.parametrize(
        ("interval", "expected"),
        [
            (Interval(1, 100, log=True), (1, 10, 100)),
            (Interval(1, 100), (1, 50.5, 100)),
            (Interval(2, 3, integer=True), (2, 3)),
            (Interval(1e-4, 1e-2, log=True), (1e-4, 1e-3, 1e-2)),
        ],
    )
    def test_spread(self, interval: Interval, expected: tuple[float, ...]) -> None:
        """Numbers from end to end, evenly on its scale; integers each once."""
        assert expected == interval.spread(3)

    def test_what_is_drawn_gets_few_digits_and_stays_within(self) -> None:
        """0.24996 is 0.25; what rounding would carry out of the interval is its end."""
        assert 0.25 == Interval(0.1, 1).snapped(0.24996)
        assert 1.234 == Interval(1.234, 2).snapped(1.234)

    def test_equal_ratios_are_equally_far_on_a_logarithmic_scale(self) -> None:
        """From end to end it is as many steps as there are between its values."""
        assert BETAS.distance(1, 8) == pytest.approx(BETAS.distance(8, 64))
        assert len(BETAS.values) - 1 == BETAS.distance(1, 64)
        assert Interval(1, 64).distance(1, 8) < Interval(1, 64).distance(8, 64)


class TestChoices:
    def test_numbers_are_put_in_order(self) -> None:
        """Their neighbours are a step apart; other values are all neighbours."""
        sizes, models = Choices.of([20, 5, 10]), Choices.of(["mlp", "conv", "higgins"])

        assert (5, 10, 20) == sizes.values
        assert (1, 2) == (sizes.distance(5, 10), sizes.distance(5, 20))
        assert ("mlp", "conv", "higgins") == models.values
        assert (0, 1) == (models.distance("mlp", "mlp"), models.distance("mlp", "higgins"))

    def test_truth_values_have_no_order(self) -> None:
        """They are integers to Python, but not to a sampler."""
        assert not Choices.of([True, False]).are_ordered
