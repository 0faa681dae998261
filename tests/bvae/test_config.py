import re
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from bvae import config
from bvae.checks import described, mistakes
from bvae.data.datasets import OFFICIAL
from bvae.data.lattice import FactorLattice
from bvae.exceptions import ConfigError
from sweeps.plan.settings import register
from sweeps.study.quoting import in_quotes

EXPERIMENTS = sorted(path.stem for path in (config.directory() / "experiment").glob("*.yaml"))


def composed(*overrides: str) -> dict[str, Any]:
    """Compose the project's configuration, as the application does."""
    register()
    with initialize_config_dir(str(config.directory()), version_base="1.3"):
        plain = OmegaConf.to_container(compose("config", list(overrides)), resolve=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


class TestParse:
    def test_defaults_are_valid(self) -> None:
        """The configuration as it is shipped has no mistakes."""
        parsed = config.parse(composed())

        assert (4.0, 10, 0, "dsprites32", "mlp") == (
            parsed.beta,
            parsed.latent_dim,
            parsed.seed,
            parsed.data.name,
            parsed.model.name,
        )

    @pytest.mark.parametrize("experiment", EXPERIMENTS)
    def test_experiments_compose_and_are_valid(self, experiment: str) -> None:
        """Every experiment file composes into a valid configuration with a name of its own."""
        parsed = config.parse(composed(f"experiment={experiment}"))

        assert experiment == parsed.study
        assert [] == mistakes(parsed)

    @pytest.mark.parametrize(
        ("group", "choice"),
        [(group, name) for group, names in config.groups().items() for name in names],
    )
    def test_choices_compose(self, group: str, choice: str) -> None:
        """Every choice of every config group composes."""
        assert composed(f"{group}={choice}", *(["data.path=x"] if "npz" in choice else []))

    @pytest.mark.parametrize("name", OFFICIAL)
    def test_published_data_are_ready_to_use(self, name: str, tmp_path: Path) -> None:
        """The scores of each see 2 classes of each factor, and at most 100,000 images."""
        path = tmp_path if OFFICIAL[name].is_folder else tmp_path / "file"
        path.touch()
        parsed = config.parse(composed(f"data={name}", f"data.path={in_quotes(str(path))}"))

        assert [] == mistakes(parsed)
        lattice = described(parsed).labels
        assert isinstance(lattice, FactorLattice)
        scored, _ = lattice.every(parsed.data.score_every or [1] * len(lattice.sizes))
        assert min(scored.sizes) >= 2
        assert min(40_000, len(lattice)) <= len(scored) <= 100_000

    def test_all_mistakes_come_at_once(self) -> None:
        """Unknown keys, wrong types and values out of range are all named, with what to do."""
        values = composed()
        values |= {"beta": -1, "latent_dim": "ten", "betta": 4}
        values["optimizer"]["lr"] = float("inf")

        lines = (
            "beta: expected a finite number above 0, at most 1e+30, but got -1\n"
            "betta: no such key; did you mean beta?\n"
            "latent_dim: expected an integer of at least 1, but got 'ten'\n"
            "optimizer.lr: expected a finite number above 0, but got inf"
        )
        with pytest.raises(ConfigError, match=rf"\A{re.escape(lines)}\Z"):
            config.parse(values)

    def test_missing_values_are_named(self) -> None:
        """A value that was left open is a mistake that names the key."""
        values = composed()
        del values["trainer"]["max_steps"]

        with pytest.raises(ConfigError, match=r"trainer\.max_steps: a value is needed"):
            config.parse(values)


@pytest.mark.parametrize(
    ("key", "value", "accepted"),
    [
        ("beta", 0.001, True),
        ("beta", 0, False),
        ("beta", float("nan"), False),
        ("beta", True, False),
        ("latent_dim", 1, True),
        ("latent_dim", 0, False),
        ("latent_dim", 2.5, False),
        ("seed", 2**31 - 1, True),
        ("seed", -1, False),
        ("seed", 2**31, False),
        ("trainer.max_steps", 0, False),
        ("optimizer.lr", "fast", False),
        ("checkpoint.keep", "best", True),
        ("study", None, True),
    ],
)
def test_values_are_checked_one_by_one(key: str, value: object, *, accepted: bool) -> None:
    """A value is accepted or refused by its key's type and range."""
    assert accepted == (config.value_mistake(key, value) is None)


class TestIdentity:
    def test_what_cannot_change_numbers_does_not_count(self) -> None:
        """Tracker, folders, objective and cadence of logging leave the identity as it is."""
        other = composed(
            "tracker=none",
            "runs_dir=x",
            "objective=sap",
            "trainer.log_every_n_steps=7",
            "checkpoint.keep=none",
            "checkpoint.interval_s=7",
        )

        assert config.identity(composed()) == config.identity(other)

    @pytest.mark.parametrize(
        "override",
        [
            "optimizer.lr=3e-4",
            "model=conv",
            "threads=2",
            "protocol=kim2018",
            "checkpoint.keep=best",
        ],
    )
    def test_what_can_change_numbers_counts(self, override: str) -> None:
        """Learning rate, network, threads, protocol and weights that are not the last ones."""
        assert config.identity(composed()) != config.identity(composed(override))

    def test_coordinates_and_axes_are_left_out(self) -> None:
        """Every point of a study has the same identity, also where a group is swept."""
        base = config.identity(composed(), axes=["model"])

        assert base == config.identity(composed("beta=9", "model=conv"), axes=["model"])
        assert not [key for key in base if key.startswith("model")]


def test_every_yaml_key_has_a_field() -> None:
    """No configuration file holds a key that no dataclass knows."""
    composed_keys = config.flatten({k: v for k, v in composed().items() if k != "hydra"})

    known = {*config.keys()}
    assert [] == [key for key in composed_keys if not (key in known or config.is_free(key))]


@pytest.mark.parametrize("choice", config.groups()["data"])
def test_every_data_set_says_what_is_held_out(choice: str) -> None:
    """A tenth of the user's own images; nothing of data of which every image is scored."""
    values = OmegaConf.load(config.directory() / "data" / f"{choice}.yaml")

    assert (0.1 if choice in ("folder", "npz", "own") else 0) == values["holdout"]


def test_directory_is_the_clones(repository: Path) -> None:
    """In a clone, the configuration that is edited is the one that is read."""
    assert repository / "conf" == config.directory()


@pytest.mark.parametrize(("typed", "meant"), [("betta", "beta"), ("lattent_dim", "latent_dim")])
def test_nearest_name_is_offered(typed: str, meant: str) -> None:
    """A misspelt name is answered with the name that was probably meant."""
    assert f"did you mean {meant}?" == config.nearest(typed, config.keys())


def test_unlike_anything_lists_all_names() -> None:
    """A name unlike any other is answered with all valid ones."""
    assert "known: a, b" == config.nearest("zzzzzz", ["b", "a"])
