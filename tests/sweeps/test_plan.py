import functools
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf
from PIL import Image
from studies import write_result

from bvae import config
from bvae.data import folder
from bvae.exceptions import ConfigError
from sweeps import plan as module
from sweeps import sweeper
from sweeps.plan import Plan, Terms, extended, plan
from sweeps.points import Point
from sweeps.study import Manifest, Study, load_study

Planned = Callable[..., Plan]
GRID = ("beta=1,4", "latent_dim=5", "seed=0,1")


@pytest.fixture(scope="module")
def composed() -> Iterator[Callable[[Sequence[str]], DictConfig]]:
    """Compose for real, each list of overrides once."""
    sweeper.register()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(config.directory()), version_base="1.3"):

        @functools.cache
        def cached(overrides: tuple[str, ...]) -> DictConfig:
            return compose("config", overrides=list(overrides), return_hydra_config=True)

        yield lambda overrides: cached(tuple(overrides)).copy()
    GlobalHydra.instance().clear()


@pytest.fixture
def planned(
    composed: Callable[[Sequence[str]], DictConfig],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Planned:
    """Plan the study that is typed in a folder of the test's own."""
    monkeypatch.chdir(tmp_path)

    def planned(*arguments: str, **options: Any) -> Plan:
        return plan([*arguments, "tracker=none"], params={}, compose=composed, **options)

    return planned


class TestPlan:
    def test_a_grid(self, planned: Planned, tmp_path: Path) -> None:
        """Points in the order to run, under a name of their own, and nothing on disk."""
        found = planned(*GRID)

        assert [(1, 0), (4, 0), (1, 1), (4, 1)] == [
            (point["beta"], point["seed"]) for point in found.manifest.points
        ]
        assert found.manifest.points == [point.values for point in found.asked]
        assert tmp_path / "runs" / found.manifest.name == found.folder.root
        assert [] == list(tmp_path.iterdir())

    def test_what_the_manifest_says(self, planned: Planned) -> None:
        """Data, model, scores and circumstances, for readers that know no Hydra."""
        terms = Terms(max_attempts=2, max_deaths=4, trial="fakes.instant")
        made = planned(*GRID, "study=mine", terms=terms).manifest

        assert ("mine", "dsprites32", "mlp") == (made.name, made.data, made.model)
        assert (1024, 1) == (made.image_size, made.threads)
        assert ("mig", "fast") == (made.objective, made.protocol)
        assert (2, 4, "fakes.instant") == (made.max_attempts, made.max_deaths, made.trial)
        assert "bvae/losses.py" in made.sources

    def test_the_name_is_that_of_the_base_configuration(self, planned: Planned) -> None:
        """Same base, same name; other numbers, another name; the grid does not count."""
        name = planned(*GRID).manifest.name

        assert name.startswith("dsprites32-mlp-")
        assert name == planned("beta=16", "tracker.project=x").manifest.name
        assert name != planned(*GRID, "optimizer.lr=1e-4").manifest.name

    def test_a_single_value_is_a_point(self, planned: Planned) -> None:
        """What is not typed is as composed."""
        (point,) = planned("beta=2").asked

        assert {"beta": 2, "latent_dim": 10, "seed": 0} == point.values

    def test_repeated_values_are_dropped_and_said(self, planned: Planned) -> None:
        """4 and 4.0 are one point."""
        found = planned("beta=4,4.0,1", "seed=0")

        assert 2 == len(found.asked)
        assert ("repeated values dropped from beta=4,4,1",) == found.notes

    def test_a_swept_group_is_composed_for_each_choice(self, planned: Planned) -> None:
        """Its name is a coordinate; its keys are each point's own."""
        found = planned("model=mlp,conv", "beta=1")

        assert ["model"] == found.manifest.axes == found.manifest.groups
        assert {"mlp", "conv"} == {
            found.manifest.configuration(point)["model"]["name"] for point in found.asked
        }
        assert "mlp+conv" == found.manifest.model
        assert not any(key.startswith("model") for key in found.manifest.base)

    def test_further_keys_are_axes(self, planned: Planned) -> None:
        """Any key may be swept, and is no part of the base."""
        found = planned("beta=1", "optimizer.lr=1e-4,1e-3", "trainer.batch_size=64,128")

        assert ["optimizer.lr", "trainer.batch_size"] == found.manifest.axes
        assert 4 == len(found.asked)
        assert "optimizer.lr" not in found.manifest.base

    def test_the_command_is_kept_as_it_was_typed(
        self, planned: Planned, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It can be typed again, whatever it is quoted with."""
        monkeypatch.setattr(sys, "argv", ["/x/bvae/__main__.py", "-m", "beta=choice(1, 4)"])

        assert "python -m bvae -m 'beta=choice(1, 4)'" == planned("beta=1").manifest.command


class TestOwnImages:
    @pytest.fixture
    def images(self, tmp_path: Path) -> Path:
        """A folder with two images."""
        (tmp_path / "images").mkdir()
        for grey in (10, 20):
            Image.new("L", (32, 32), grey).save(tmp_path / "images" / f"{grey}.png")
        return tmp_path / "images"

    @pytest.fixture
    def typed(self, planned: Planned, images: Path) -> Planned:
        """Plan a study of that folder."""
        own = ("data=folder", "data.resolution=32", "trainer.batch_size=2")

        def typed(*arguments: str, path: str = "images") -> Plan:
            folder.look.cache_clear()
            return planned("beta=1", *own, f"data.path={path}", *arguments)

        return typed

    def test_what_the_data_decide(self, typed: Planned, images: Path) -> None:
        """The objective is UDR; workers get an absolute path, and which images are meant."""
        made = typed().manifest
        data = made.configuration(made_point(made))["data"]

        assert ("udr", None, 3 * 32 * 32) == (made.objective, made.lattice, made.image_size)
        assert str(images) == data["path"]
        assert folder.look(images).sha256 == data["content"] == made.base["data.content"]

    def test_the_same_images_elsewhere_are_the_same_study(
        self, typed: Planned, images: Path
    ) -> None:
        """A study goes by what is in the folder, not by where it is."""
        begun = typed().write()
        images.rename(images.parent / "moved")

        assert begun.folder.root == typed(path="moved").folder.root

    def test_other_images_are_another_study(self, typed: Planned, images: Path) -> None:
        """By default under another name; under the same one the command is refused."""
        typed("study=mine").write()
        name = typed().folder.name
        Image.new("L", (32, 32), 30).save(images / "30.png")

        assert name != typed().folder.name
        with pytest.raises(ConfigError, match=r"data\.content: \w+ in the study, \w+ now"):
            typed("study=mine")

    def test_folders_may_be_swept(self, typed: Planned, images: Path) -> None:
        """Then a point's path says which; the study goes by none."""
        shutil.copytree(images, images.parent / "more")

        made = typed(path="images,more").manifest

        assert ["data.path"] == made.axes
        assert "data.content" not in made.base
        assert {"images", "more"} == {point["data.path"] for point in made.points}


def made_point(made: Manifest) -> Point:
    """Return the first point of a manifest."""
    return Point.of(made.points[0])


class TestMistakes:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["objective=migg"], "objective=migg: not a score"),
            (["trainer.batch_size=64,999999"], "trainer.batch_size: expected at most"),
            (["data.score_every=[1,1],[1,1,1,2,2]"], "data.score_every: expected a step"),
            (["study=a/b"], "study: expected the name of a folder, but got 'a/b'"),
            (["study=.."], "study: expected the name of a folder, but got '..'"),
        ],
    )
    def test_one(self, planned: Planned, arguments: list[str], message: str) -> None:
        """What only the whole configuration shows is found before anything is written."""
        with pytest.raises(ConfigError) as raised:
            planned("beta=1", *arguments)

        assert message in str(raised.value)

    def test_all_at_once_each_once(self, planned: Planned) -> None:
        """Several mistakes of several choices are told together."""
        with pytest.raises(ConfigError) as raised:
            planned("model=mlp,conv", "objective=migg", "trainer.batch_size=999999")

        assert 2 == len(str(raised.value).splitlines())

    def test_a_folder_that_cannot_hold_a_study(
        self, planned: Planned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A file in the way, or no right to write."""
        (tmp_path / "file").touch()
        with pytest.raises(ConfigError, match="file is a file; give a folder"):
            planned("beta=1", "runs_dir=file")

        monkeypatch.setattr(module.os, "access", lambda *_: False)
        with pytest.raises(ConfigError, match="cannot be written; give another runs_dir"):
            planned("beta=1")


class TestWrite:
    def test_the_study_is_on_disk(self, planned: Planned) -> None:
        """Manifest and base configuration, the latter as it is composed."""
        found = planned(*GRID, "optimizer.lr=1e-4")
        study = found.write()

        assert found.manifest == study.manifest
        base = OmegaConf.load(study.folder.base)
        assert 1e-4 == base.optimizer.lr
        assert "beta" not in base

    def test_a_study_begun_otherwise_meanwhile(self, planned: Planned) -> None:
        """Two commands may plan at once; the second to write is refused."""
        late = planned(*GRID, "study=one", "optimizer.lr=1e-4")
        planned(*GRID, "study=one").write()

        with pytest.raises(ConfigError, match=r"optimizer\.lr: 0\.001 in the study, 0\.0001 now"):
            late.write()

    def test_a_full_disk_is_told(self, planned: Planned, monkeypatch: pytest.MonkeyPatch) -> None:
        """With what to do about it."""

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        found = planned("beta=1")
        monkeypatch.setattr(module, "write_atomically", full)

        with pytest.raises(ConfigError, match=r"\(No space left on device\); give another runs"):
            found.write()


class TestExtension:
    @pytest.fixture
    def study(self, planned: Planned) -> Study:
        """A study of two points, on disk."""
        return planned("beta=1,4", "seed=0", "study=one").write()

    def test_a_larger_grid_extends_it(self, planned: Planned, study: Study) -> None:
        """It stays the same study, its points in the order to run."""
        found = planned("beta=4,16", "seed=0", "study=one")
        more = found.write()

        assert [1, 16, 4] == [point.values["beta"] for point in more.points]
        assert [4, 16] == [point.values["beta"] for point in found.asked]
        assert study.manifest.study_id == more.manifest.study_id
        assert study.manifest.created_at == more.manifest.created_at

    def test_a_smaller_grid_never_shrinks_it(self, planned: Planned, study: Study) -> None:
        """What was asked for once stays."""
        assert study.points == planned("beta=4", "seed=0", "study=one").write().points

    def test_another_base_is_refused(self, planned: Planned, study: Study) -> None:
        """Every differing key, and what to do."""
        with pytest.raises(ConfigError) as raised:
            planned("beta=1", "study=one", "optimizer.lr=1e-4", "trainer.max_steps=7")

        assert [
            "the study one was made with another configuration:",
            "  optimizer.lr: 0.001 in the study, 0.0001 now",
            "  trainer.max_steps: 2000 in the study, 7 now",
            "give the new one a name of its own (study=…), or type the old values",
        ] == str(raised.value).splitlines()

    def test_more_steps_are_another_study(self, planned: Planned, study: Study) -> None:
        """Unless one asks for the models to be trained on, which the message says how to do."""
        with pytest.raises(ConfigError, match=r"train its models on \(extend=true\)"):
            planned("beta=1", "study=one", "trainer.max_steps=3000")

    def test_more_steps_with_extend(self, planned: Planned, study: Study) -> None:
        """The study goes on with more steps for all its points; what is shorter is to be run."""
        for point in study.points:
            write_result(study, point, steps=2000)
        found = planned("beta=1", "study=one", "trainer.max_steps=3000", "extend=true")
        longer = found.write()

        assert ("models of 2000 steps are trained on to 3000",) == found.notes
        assert study.manifest.study_id == longer.manifest.study_id
        assert {"pending": 2, "complete": 0}.items() <= longer.counts.items()
        assert [3000, 3000] == [
            longer.manifest.configuration(point)["trainer"]["max_steps"] for point in longer.points
        ]

    def test_extend_takes_only_more_steps(self, planned: Planned, study: Study) -> None:
        """Fewer steps, or another learning rate beside more of them, are another study."""
        for typed in (["trainer.max_steps=7"], ["trainer.max_steps=3000", "optimizer.lr=1e-4"]):
            with pytest.raises(ConfigError, match="made with another configuration"):
                planned("beta=1", "study=one", "extend=true", *typed)

    def test_once_extended_the_longer_command_is_the_same(
        self, planned: Planned, study: Study
    ) -> None:
        """It need not say extend=true again."""
        planned("beta=1", "study=one", "trainer.max_steps=3000", "extend=true").write()

        assert (
            study.points == planned("beta=1", "study=one", "trainer.max_steps=3000").write().points
        )

    def test_a_further_axis_is_refused(self, planned: Planned, study: Study) -> None:
        """Its old points have no value for it."""
        with pytest.raises(ConfigError, match=r"optimizer\.lr: 0\.001 in the study, swept now"):
            planned("beta=1", "study=one", "optimizer.lr=1e-4,1e-3")

    def test_a_single_value_of_an_axis_is_a_smaller_grid(self, planned: Planned) -> None:
        """What was swept once need not be swept again."""
        planned("beta=1", "model=mlp,conv", "study=two").write()

        found = planned("beta=4", "model=conv", "study=two")

        assert [{"beta": 4, "latent_dim": 10, "seed": 0, "model": "conv"}] == [
            point.values for point in found.asked
        ]
        assert 3 == len(found.write().points)

    def test_configurations_of_both_are_kept(self, planned: Planned) -> None:
        """A choice that is not typed again still has its own."""
        planned("beta=1", "model=mlp,conv", "study=two").write()
        study = planned("beta=1", "model=higgins", "study=two").write()

        assert {"mlp", "conv", "higgins"} == {
            study.manifest.configuration(point)["model"]["name"] for point in study.points
        }


class TestSources:
    @pytest.fixture
    def study(self, planned: Planned) -> Study:
        """A study of two points made with other sources: one changed, one gone, one new."""
        found = planned("beta=1,4", "seed=0", "study=one")
        sources = dict(found.manifest.sources) | {"bvae/losses.py": "0" * 12, "bvae/old.py": "1"}
        del sources["bvae/pace.py"]
        old = replace(found.manifest, code_version="0" * 12, sources=sources)
        old.write(found.folder.manifest)
        return load_study(found.folder.root)

    def test_other_sources_are_refused_while_something_is_left(
        self, planned: Planned, study: Study
    ) -> None:
        """Numbers of two versions could not be compared; every file is named."""
        with pytest.raises(ConfigError) as raised:
            planned("beta=1", "study=one")

        assert [
            "  bvae/losses.py: changed",
            "  bvae/old.py: gone",
            "  bvae/pace.py: new",
        ] == str(raised.value).splitlines()[1:4]
        assert "put the old sources back" in str(raised.value)

    def test_a_finished_study_may_be_looked_at(self, planned: Planned, study: Study) -> None:
        """Nothing would be run; but it is not to be extended, neither now nor later."""
        for point in study.points:
            write_result(study, point)

        looked_at = planned("beta=1", "study=one").write()

        assert study.manifest.sources == looked_at.manifest.sources
        with pytest.raises(ConfigError, match="other sources of bvae/"):
            planned("beta=16", "study=one")


def test_extension_keeps_the_terms_now_typed(planned: Planned) -> None:
    """More attempts may be given to a study that is there."""
    old = planned("beta=1", "study=one").manifest
    new = planned("beta=1", "study=one", terms=Terms(max_attempts=5)).manifest

    found: Manifest = extended(old, new)
    assert 5 == found.max_attempts
