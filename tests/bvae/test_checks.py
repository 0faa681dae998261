from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from bvae import checks, config, evaluate, tracking
from bvae.config import BETA_VAE, Config
from bvae.data import folder, labels
from bvae.exceptions import ConfigError, DataError
from bvae.metrics.scoring import score_table
from tests.doubles.studies import CONFIGURATION

Configured = Callable[..., Config]
OWN = {"_target_": "my.Part"}


def configured(**changes: Any) -> Config:
    """Return a configuration; keywords override nested values."""
    merged = {
        key: CONFIGURATION.get(key, {}) | value if isinstance(value, dict) else value
        for key, value in changes.items()
    }
    return config.parse(CONFIGURATION | merged)


class TestDerivedSettings:
    @pytest.mark.parametrize(
        ("every", "lattice"),
        [([1, 1, 1, 2, 2], "3x6x40x8x8"), (None, "3x6x40x16x16"), ([1, 3, 10, 8, 8], "3x2x4x2x2")],
    )
    def test_the_scored_lattice(self, every: list[int] | None, lattice: str) -> None:
        """Every n-th class of each factor; all where nothing is said."""
        found = checks.derived_settings(configured(data={"score_every": every}))

        assert (1024, lattice) == (found.image_size, found.lattice)

    def test_input_values_of_larger_images(self) -> None:
        """N is the number of values of an image."""
        assert 64 * 64 == checks.derived_settings(configured(data={"name": "dsprites"})).image_size


class TestTables:
    @pytest.fixture
    def own(self, tmp_path: Path) -> Callable[..., Config]:
        """Configurations of 60 images with labels, of which two columns can be scored."""
        rows = np.arange(60)
        factors = np.stack([rows % 3, rows // 30, np.zeros(60, int), rows], axis=1)
        names = np.array(["shape", "side", "light", "id"])
        np.savez(
            tmp_path / "two.npz",
            images=np.zeros((60, 32, 32), np.uint8),
            factors=factors,
            factor_names=names,
        )
        np.savez(
            tmp_path / "one.npz", images=np.zeros((60, 32, 32), np.uint8), factors=factors[:, :1]
        )

        def own(file: str = "two", **changes: Any) -> Config:
            data = {"name": "npz", "path": str(tmp_path / f"{file}.npz"), "score_every": None}
            defaults = {"objective": None, "trainer": {"batch_size": 20}}
            return configured(**defaults | changes | {"data": data | changes.get("data", {})})

        return own

    def test_notes(self, own: Callable[..., Config], monkeypatch: pytest.MonkeyPatch) -> None:
        """MIG is the objective; what is drawn, how much is scored and what is not is said."""
        monkeypatch.setattr(labels, "MOST_ROWS", 50)
        found = checks.derived_settings(own())

        assert ("mig", "3x2 in 50 rows") == (found.objective, found.lattice)
        drawn, number, *left_out = found.notes
        assert drawn.startswith("factors: 3x2 in 50 rows, no full lattice: pairs (beta_vae)")
        assert number.startswith("50 of 60 images are scored")
        assert [
            "factor light: left out of the scores: it has a single class",
            "factor id: left out of the scores: it has 50 classes in 50 rows, not two rows for "
            "each",
        ] == left_out
        assert () == checks.derived_settings(configured()).notes
        assert [] == checks.mistakes(own(objective="beta_vae_sampled"))

    @pytest.mark.parametrize(
        ("file", "changes", "message"),
        [
            ("two", {"data": {"score_every": [1, 1, 1, 2]}}, "score_every: takes classes out of a"),
            ("one", {"objective": "beta_vae_active"}, "only one can be scored; give objective=mig"),
        ],
    )
    def test_mistakes(
        self, own: Callable[..., Config], file: str, changes: dict[str, Any], message: str
    ) -> None:
        """What needs a lattice or a second factor is refused."""
        (found,) = checks.mistakes(own(file, **changes))

        assert message in found

    def test_one_factor_is_enough(self, own: Callable[..., Config]) -> None:
        """Class labels alone give MIG, SAP and explicitness."""
        assert [] == checks.mistakes(own("one")) + checks.mistakes(own("one", objective="sap"))
        assert "3 in 60 rows" == checks.derived_settings(own("one")).lattice


class TestOwnImages:
    @pytest.fixture
    def own(self, tmp_path: Path) -> Callable[..., Config]:
        """Configurations of a folder with three images."""
        for grey in (10, 20, 30):
            Image.new("L", (32, 32), grey).save(tmp_path / f"{grey}.png")

        def own(**changes: Any) -> Config:
            data = {"name": "folder", "path": str(tmp_path), "resolution": 32, "channels": 1}
            data |= {"likelihood": "gaussian", "variance": 0.1, "score_every": None}
            defaults = {"objective": None, "trainer": {"batch_size": 2}}
            return configured(**defaults | changes | {"data": data | changes.get("data", {})})

        return own

    def test_the_objective_is_udr(self, own: Callable[..., Config]) -> None:
        """Without factors seeds are compared; with them MIG is the objective, or what is asked."""
        found = checks.derived_settings(own())

        assert ("udr", None, 1024) == (found.objective, found.lattice, found.image_size)
        assert "mig" == checks.derived_settings(configured(objective=None)).objective
        assert "udr" == checks.derived_settings(configured(objective="udr")).objective
        assert [] == checks.mistakes(own()) + checks.mistakes(configured(objective="udr"))

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"objective": "mig"}, "objective=mig: needs factors, which folder has none of"),
            ({"checkpoint": {"keep": "best"}}, "checkpoint.keep=best: keeps the weights of the"),
            ({"trainer": {"batch_size": 4}}, "trainer.batch_size: expected at most the 3 images"),
            ({"data": {"content": "0" * 64}}, "does not hold the images the study was begun with"),
        ],
    )
    def test_mistakes(
        self, own: Callable[..., Config], changes: dict[str, Any], message: str
    ) -> None:
        """What images without factors cannot have, or cannot give, is told at once."""
        (found,) = checks.mistakes(own(**changes))

        assert message in found

    def test_an_empty_folder(self, own: Callable[..., Config], tmp_path: Path) -> None:
        """It is a mistake of the path."""
        (tmp_path / "none").mkdir()

        (found,) = checks.mistakes(own(data={"path": str(tmp_path / "none")}))

        assert found.startswith("data.path: expected images in")

    def test_a_folder_that_changes_while_a_study_runs(
        self, own: Callable[..., Config], tmp_path: Path
    ) -> None:
        """Its later trials would learn from other images."""
        begun = own(data={"content": checks.derived_settings(own()).content})
        assert 3 == len(checks.prepare(begun))
        Image.new("L", (32, 32), 40).save(tmp_path / "40.png")
        folder.forget()

        with pytest.raises(DataError, match="have changed since the study was begun"):
            checks.prepare(begun)

    def test_too_few_can_be_read(self, own: Callable[..., Config], tmp_path: Path) -> None:
        """A batch larger than what is left is told before anything is trained."""
        (tmp_path / "10.png").write_text("no image")

        with pytest.raises(ConfigError, match="at most the 2 images that can be read, but got 3"):
            checks.prepare(own(trainer={"batch_size": 3}))


def few_labels() -> dict[str, NDArray[Any]]:
    """Twelve images, and labels of ten."""
    return {"images": np.zeros((12, 32, 32), np.uint8), "factors": np.zeros((10, 2), int)}


class TestOwnSource:
    """Images by a function of the user's."""

    @pytest.mark.parametrize(
        ("data", "message"),
        [
            (
                {"name": "own", "source": {"_target_": f"{__name__}.few_labels"}},
                "data.source: factors: expected numbers [12, K], a row for each image",
            ),
            (
                {"name": "own", "source": {"_target_": f"{__name__}.no_function"}},
                "data.source: tests.bvae.test_checks.no_function cannot be built",
            ),
            ({"name": "own"}, "data.source: expected a class or function"),
            (
                {"source": {"_target_": f"{__name__}.few_labels"}},
                "data: ours by its name, but a _target_ is given; write data=own",
            ),
        ],
    )
    def test_mistakes_begin_with_its_key(self, data: dict[str, Any], message: str) -> None:
        """The file that the images are kept in, and its path, are not the user's."""
        (found,) = checks.mistakes(configured(data={"score_every": None, **data}))

        assert found.startswith(message)


class TestHeldOut:
    @pytest.mark.parametrize(
        ("name", "share", "number"), [("dsprites32", 0.1, 18432), ("dsprites32", 0.0, 0)]
    )
    def test_any_data_set_may_hold_out(self, name: str, share: float, number: int) -> None:
        """About the share of its images, none where nothing is asked for."""
        found = checks.prepare(configured(data={"name": name, "holdout": share}))

        assert number == pytest.approx(len(found.held_out), rel=0.02)

    def test_images_alike_are_held_out_at_once(self, tmp_path: Path) -> None:
        """What is told is that they are alike, not that none is left to train on."""
        np.savez(tmp_path / "own.npz", images=np.full((40, 32, 32), 14, np.uint8))
        own = {"name": "npz", "path": str(tmp_path / "own.npz"), "score_every": None}
        data = own | {"likelihood": "gaussian", "variance": 0.1, "holdout": 0.5}

        with pytest.raises(DataError, match="there is nothing to learn"):
            checks.prepare(configured(data=data, objective=None, trainer={"batch_size": 2}))

    def test_a_batch_of_what_is_left(self, tmp_path: Path) -> None:
        """It is told how many images are left to train on, and by which key."""
        np.savez(
            tmp_path / "own.npz",
            images=np.random.default_rng(0).integers(0, 256, (40, 32, 32), dtype=np.uint8),
        )
        own = {"name": "npz", "path": str(tmp_path / "own.npz"), "score_every": None}
        data = own | {"likelihood": "gaussian", "variance": 0.1, "holdout": 0.5}
        left = checks.prepare(configured(data=data, objective=None, trainer={"batch_size": 2}))
        number = len(left) - len(left.held_out)

        assert 10 < number < 30
        message = f"at most the {number} images that data.holdout=0.5 leaves, but got {number + 1}"
        with pytest.raises(ConfigError, match=message):
            checks.prepare(
                configured(data=data, objective=None, trainer={"batch_size": number + 1})
            )


class TestTheScoredLattice:
    @pytest.mark.parametrize(
        ("sizes", "accepted"), [((2, 2), True), ((2, 1024), True), ((2, 1025), False)]
    )
    def test_is_one_that_can_be_scored(
        self, sizes: tuple[int, int], tmp_path: Path, *, accepted: bool
    ) -> None:
        """What is accepted has scores at the end, and in validation."""
        factors = np.indices(sizes).reshape(2, -1).T
        images = np.zeros((len(factors), 8, 8), np.uint8)
        np.savez(tmp_path / "mine.npz", images=images, factors=factors)
        data = {"name": "npz", "path": str(tmp_path / "mine.npz"), "score_every": None}
        own = configured(data=data | {"resolution": 32}, trainer={"batch_size": 2})

        found = checks.mistakes(own)

        assert ([] if accepted else [f"2x{sizes[1]}"]) == [
            line.split("but got ")[1].split(" of ")[0] for line in found
        ]
        validated = np.random.default_rng(0).permutation(factors)[: evaluate.VALIDATION_IMAGES]
        for table in (factors, validated) if accepted else ():
            assert score_table(table * 1.0, table, protocol="fast", only=["mig"]).values()

    def test_is_known_with_its_steps(self, tmp_path: Path) -> None:
        """Steps make many classes few enough."""
        factors = np.indices((2, 1026)).reshape(2, -1).T
        images = np.zeros((len(factors), 8, 8), np.uint8)
        np.savez(tmp_path / "mine.npz", images=images, factors=factors)
        data = {"name": "npz", "path": str(tmp_path / "mine.npz"), "score_every": [1, 2]}

        assert [] == checks.mistakes(configured(data=data | {"resolution": 32}))


class TestMistakes:
    def test_none(self) -> None:
        """A sound configuration has none."""
        assert [] == checks.mistakes(configured())

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
            (
                {"data": {"score_every": [1, 1, 41, 1, 1]}},
                "expected 2 to 1024 classes of each factor to be scored, but got 3x6x1x16x16",
            ),
            ({"data": {"score_every": [3, 1, 1, 4, 4]}}, "but got 1x6x40x4x4 of 3x6x40x16x16"),
            ({"data": {"name": "dsprites_npz"}}, "data.path: dsprites_npz is read from a file"),
            (
                {"data": {"name": "dsprites_npz", "path": "nowhere.npz"}},
                "data.path: no such file: nowhere.npz",
            ),
            (
                {"data": {"name": "folder", "path": "nowhere"}},
                "data.path: no such folder: nowhere",
            ),
            (
                {"data": {"name": "smallnorb", "path": __file__}},
                f"data.path: no such folder: {__file__}",
            ),
            ({"data": {"path": "x.npz"}}, "data.path: dsprites32 is drawn and reads no file"),
            ({"data": {"likelihood": "gaussian"}}, "data.variance: gaussian pixels need one"),
            ({"data": {"variance": 0.1}}, "data.variance: bernoulli pixels have none"),
            ({"loss": {**BETA_VAE, "beta": 3}}, "loss.beta: is given to each part; leave it out"),
            ({"loss": {**BETA_VAE, **OWN}}, "write loss=own for your own"),
            ({"optimizer": OWN}, "write optimizer=own for your own"),
            ({"model": {"encoder": OWN, "decoder": OWN}}, "write model=own for your own"),
            ({"model": {"encoder": {"width": 3}}}, "model.encoder: width: of an own one, which"),
            (
                {"model": {"encoder": {"_target_": "my.Net", "latent_dim": 3}}},
                "model.encoder.latent_dim: is given to each part; leave it out",
            ),
        ],
    )
    def test_one(self, changes: dict[str, Any], message: str) -> None:
        """What no single key shows is found before anything starts."""
        (found,) = checks.mistakes(configured(**changes))

        assert message in found

    def test_all_at_once(self) -> None:
        """Mistakes about scores and about data come together."""
        found = checks.mistakes(configured(objective="x", trainer={"batch_size": 200000}))

        assert 2 == len(found)

    @pytest.mark.parametrize("suffix", ["", "_sampled", "_active"])
    def test_variants_of_a_score_may_be_the_objective(self, suffix: str) -> None:
        """Scores on samples and on active latents only are scores, too."""
        assert [] == checks.mistakes(configured(objective=f"mig{suffix}"))

    def test_a_model_without_weights(self) -> None:
        """None can be kept of the best trial."""
        wanted = configured(tracker={"log_model": "best"}, checkpoint={"keep": "none"})
        (found,) = checks.mistakes(wanted)

        assert found.startswith("tracker.log_model=best: there are no weights to keep")
        assert [] == checks.mistakes(configured(tracker={"log_model": "best"}))

    def test_a_tracker_that_cannot_start(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A missing key for W&B is no surprise after hours of training."""

        def no_key() -> None:
            raise ConfigError("no key")

        monkeypatch.setattr(tracking, "check_login", no_key)

        wanted = configured(tracker={"name": "wandb", "mode": "online"})
        assert ["no key"] == checks.mistakes(wanted)
        assert [] == checks.mistakes(configured(tracker={"name": "none", "mode": "online"}))
        assert [] == checks.mistakes(configured(tracker={"name": "wandb", "mode": "offline"}))


def test_a_home_in_the_path_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`~` is the user's home, in the check and when the file is opened."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mine.npz").write_bytes(b"")
    opened: list[Path | None] = []

    def refuse(name: str, *, path: Path | None, **_: object) -> None:
        opened.append(path)
        raise DataError("not opened")

    monkeypatch.setattr(checks, "open_dataset", refuse)
    wanted = configured(data={"name": "dsprites_npz", "path": "~/mine.npz"})

    assert [] == checks.mistakes(wanted)
    with pytest.raises(DataError, match="not opened"):
        checks.prepare(wanted)
    assert [tmp_path / "mine.npz"] == opened
