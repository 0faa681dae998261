import math

import pytest

from sweeps.study.trials import MAX_SLUG, Trial, bisection, canonical, grid, in_order, text


class TestCanonical:
    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            (4, 4),
            (4.0, 4),
            (float("4e0"), 4),
            (0.1 + 0.2, 0.3),
            (-0.0, 0),
            (1e-9, 1e-9),
            (2**31 - 1, 2**31 - 1),
            (1234567890123456, 1234567890123456),
            (True, True),
            (None, None),
            ("mlp", "mlp"),
            ([1, 2.0, [3.0]], (1, 2, (3,))),
        ],
    )
    def test_one_form_for_each_value(self, value: object, expected: object) -> None:
        """Numbers that print alike to 12 digits are one value; integers stay exact."""
        found = canonical(value)

        assert expected == found
        assert type(expected) is type(found)

    def test_infinity_is_left_to_the_checks_of_the_configuration(self) -> None:
        """An infinite number stays one: no integer can stand for it."""
        assert math.inf == canonical(math.inf)


class TestText:
    @pytest.mark.parametrize(
        ("value", "expected"),
        [(None, "null"), (False, "false"), (0.25, "0.25"), (1e-4, "0.0001"), ((1, 2), "[1,2]")],
    )
    def test_values_are_written_as_typed(self, value: object, expected: str) -> None:
        """A value is written so that typing it gives it back."""
        assert expected == text(canonical(value))


class TestTrial:
    def test_beta_latents_and_seed_come_first(self) -> None:
        """The order of coordinates is fixed; further keys follow by name."""
        trial = Trial.of(
            {"optimizer.lr": 1e-3, "seed": 0, "beta": 4.0, "model": "mlp"} | {"latent_dim": 10}
        )

        assert "beta=4,latent_dim=10,seed=0,model=mlp,optimizer.lr=0.001" == trial.slug
        assert "beta=4 latent_dim=10 seed=0 model=mlp optimizer.lr=0.001" == trial.overrides

    def test_equal_values_make_equal_trials(self) -> None:
        """4, 4.0 and 4e0 are one trial."""
        several = {Trial.of({"beta": beta, "latent_dim": 10, "seed": 0}) for beta in (4, 4.0, 4e0)}

        assert 1 == len(several)

    def test_configuration_is_all_but_the_seed(self) -> None:
        """Trials that differ in the seed only are of one configuration."""
        one, other = (Trial.of({"beta": 4, "latent_dim": 5, "seed": seed}) for seed in (0, 1))

        assert one.configuration == other.configuration
        assert one != other

    @pytest.mark.parametrize("value", ["a/b", "../x", "x" * 200, [1, 2], "ä ö", "a\nb"])
    def test_slug_is_a_safe_file_name(self, value: object) -> None:
        """A slug never has a separator or a space, and is short enough to be a folder's name."""
        slug = Trial.of({"beta": 4, "latent_dim": 5, "seed": 0, "data.path": value}).slug

        assert len(slug) <= MAX_SLUG
        assert not set("/ \n[]") & set(slug)
        assert slug.startswith("beta=4,latent_dim=5,seed=0,data.path=")

    def test_slugs_that_are_cut_still_differ(self) -> None:
        """Two long values with the same start have two folders."""
        slugs = {
            Trial.of({"beta": 4, "latent_dim": 5, "seed": 0, "data.path": "x" * 200 + end}).slug
            for end in "ab"
        }

        assert 2 == len(slugs)


class TestGrid:
    def test_every_combination_once(self) -> None:
        """A repeated value is dropped, and said."""
        trials, repeated = grid({"beta": [1, 4, 4.0], "latent_dim": [5], "seed": [0, 1]})

        assert 4 == len(trials) == len(set(trials))
        assert ["beta=1,4,4"] == repeated

    def test_seed_by_seed_beta_by_bisection(self) -> None:
        """A study stopped at any moment has a coarse curve for every latent size."""
        trials, _ = grid({"beta": [1, 2, 4, 8, 16], "latent_dim": [5, 10], "seed": [0, 1]})

        first = [(p.values["beta"], p.values["latent_dim"]) for p in trials[:6]]
        assert [(1, 5), (1, 10), (16, 5), (16, 10), (4, 5), (4, 10)] == first
        assert [0] * 10 + [1] * 10 == [trial.values["seed"] for trial in trials]

    def test_an_extended_grid_keeps_the_order_of_seeds(self) -> None:
        """Seeds stay in the order they came; new trials of old seeds come before new seeds."""
        old, _ = grid({"beta": [1, 4], "latent_dim": [5], "seed": [7, 3]})
        new, _ = grid({"beta": [1, 2, 4], "latent_dim": [5], "seed": [7, 3]})

        ordered = in_order(dict.fromkeys([*old, *new]))

        assert [(7, 1), (7, 4), (7, 2), (3, 1), (3, 4), (3, 2)] == [
            (trial.values["seed"], trial.values["beta"]) for trial in ordered
        ]


class TestBisection:
    @pytest.mark.parametrize("number", range(12))
    def test_every_value_once(self, number: int) -> None:
        """Whatever the number of values, each comes exactly once, the ends first."""
        order = bisection(range(number))

        assert list(range(number)) == sorted(order)
        assert order[:2] == [0, number - 1][:number]
