from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from studies import CONFIGURATION

from bvae import config, preflight, tracking
from bvae.config import Config
from bvae.exceptions import ConfigError

Configured = Callable[..., Config]


def configured(**changes: Any) -> Config:
    """Return a configuration; keywords override nested values."""
    merged = {
        key: CONFIGURATION[key] | value if isinstance(value, dict) else value
        for key, value in changes.items()
    }
    return config.parse(CONFIGURATION | merged)


class TestFacts:
    @pytest.mark.parametrize(
        ("every", "lattice"),
        [([1, 1, 1, 2, 2], "3x6x40x8x8"), (None, "3x6x40x16x16"), ([1, 3, 10, 8, 8], "3x2x4x2x2")],
    )
    def test_the_scored_lattice(self, every: list[int] | None, lattice: str) -> None:
        """Every n-th class of each factor; all where nothing is said."""
        found = preflight.facts(configured(data={"score_every": every}))

        assert (1024, lattice) == (found.image_size, found.lattice)

    def test_input_values_of_larger_images(self) -> None:
        """N is the number of values of an image."""
        assert 64 * 64 == preflight.facts(configured(data={"name": "dsprites"})).image_size


class TestMistakes:
    def test_none(self) -> None:
        """A sound configuration has none."""
        assert [] == preflight.mistakes(configured())

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"protocol": "quick"}, "protocol=quick: no such protocol"),
            ({"objective": "migg"}, "objective=migg: not a score of protocol fast"),
            ({"objective": "loss"}, "objective=loss: not a score of protocol fast"),
            (
                {"trainer": {"batch_size": 184321}},
                "trainer.batch_size: expected at most the 184320 images of dsprites32",
            ),
            ({"data": {"score_every": [1, 1]}}, "data.score_every: expected a step for each"),
            ({"data": {"score_every": [1, 1, 0, 1, 1]}}, "data.score_every: expected a step"),
            ({"data": {"score_every": [1, 1, 41, 1, 1]}}, "data.score_every: expected a step"),
            ({"data": {"name": "dsprites_npz"}}, "data.path: dsprites_npz is read from a file"),
            ({"data": {"path": "nowhere.npz"}}, "data.path: no such file: nowhere.npz"),
        ],
    )
    def test_one(self, changes: dict[str, Any], message: str) -> None:
        """What no single key shows is found before anything starts."""
        (found,) = preflight.mistakes(configured(**changes))

        assert message in found

    def test_all_at_once(self) -> None:
        """Mistakes about scores and about data come together."""
        found = preflight.mistakes(configured(objective="x", trainer={"batch_size": 200000}))

        assert 2 == len(found)

    @pytest.mark.parametrize("suffix", ["", "_sampled", "_active"])
    def test_variants_of_a_score_may_be_the_objective(self, suffix: str) -> None:
        """Scores on samples and on active latents only are scores, too."""
        assert [] == preflight.mistakes(configured(objective=f"mig{suffix}"))

    def test_a_tracker_that_cannot_start(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A missing key for W&B is no surprise after hours of training."""

        def no_key(*, mode: str) -> None:
            raise ConfigError(f"no key for {mode}")

        monkeypatch.setattr(tracking, "check_key", no_key)

        wanted = configured(tracker={"name": "wandb", "mode": "online"})
        assert ["no key for online"] == preflight.mistakes(wanted)
        assert [] == preflight.mistakes(configured(tracker={"name": "none", "mode": "online"}))


def test_a_home_in_the_path_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`~` is the user's home, in the check and when the file is opened."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mine.npz").write_bytes(b"")
    opened: list[Path | None] = []
    monkeypatch.setattr(preflight, "open_dataset", lambda name, path: opened.append(path))
    wanted = configured(data={"name": "dsprites_npz", "path": "~/mine.npz"})

    assert [] == preflight.mistakes(wanted)
    preflight.prepare(wanted)
    assert [tmp_path / "mine.npz"] == opened
