import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from omegaconf import OmegaConf
from PIL import Image

from bvae import checks, config
from bvae.data import folder
from bvae.exceptions import ConfigError
from bvae.files import with_tilde
from bvae.losses import BetaVAELoss
from bvae.machine import Machine
from sweeps import load_study
from sweeps.plan import place
from sweeps.plan import plan as module
from sweeps.plan.plan import Plan
from sweeps.plan.settings import SweepSettings
from sweeps.study.manifest import Manifest
from sweeps.study.quoting import in_quotes
from sweeps.study.trials import Trial
from tests.doubles.studies import write_result

Planned = Callable[..., Plan]
GRID = ("beta=1,4", "latent_dim=5", "seed=0,1")


class TestPlan:
    def test_a_grid(self, planned: Planned, tmp_path: Path) -> None:
        """Trials in the order to run, under a name of their own, and nothing on disk."""
        found = planned(*GRID)

        assert [(1, 0), (4, 0), (1, 1), (4, 1)] == [
            (trial["beta"], trial["seed"]) for trial in found.manifest.trials
        ]
        assert found.manifest.trials == [trial.values for trial in found.asked]
        assert tmp_path / "runs" / found.manifest.name == found.folder.root
        assert [] == list(tmp_path.iterdir())

    def test_what_the_manifest_says(self, planned: Planned) -> None:
        """Data, model, scores and circumstances, for readers that know no Hydra."""
        settings = SweepSettings(max_attempts=2, max_deaths=4, trial="tests.doubles.fakes.instant")
        made = planned(*GRID, "study=mine", settings=settings).manifest

        assert ("mine", "dsprites32", "mlp") == (made.name, made.data, made.model)
        assert (1024, 1) == (made.image_size, made.threads)
        assert ("mig", "fast") == (made.objective, made.protocol)
        assert (2, 4, "tests.doubles.fakes.instant") == (
            made.max_attempts,
            made.max_deaths,
            made.trial,
        )
        assert "bvae/losses/kl.py" in made.sources

    def test_the_name_is_that_of_the_base_configuration(self, planned: Planned) -> None:
        """Same base, same name; other numbers, another name; the grid does not count."""
        name = planned(*GRID).manifest.name

        assert name.startswith("dsprites32-mlp-")
        assert name == planned("beta=16", "tracker.project=x").manifest.name
        assert name != planned(*GRID, "optimizer.lr=1e-4").manifest.name

    def test_the_name_knows_what_is_typed_below_a_swept_group(self, planned: Planned) -> None:
        """The base does not have it, since each choice has its own."""
        grid = ("beta=1", "data=dsprites,dsprites32")
        gaussian = planned(*grid, "data.likelihood=gaussian", "data.variance=0.1")

        assert planned(*grid).folder.root != gaussian.folder.root

    def test_the_name_knows_arguments_below_a_swept_group(self, planned: Planned) -> None:
        """Those of parts as well."""
        grid = ("beta=1", "loss=beta_vae,annealed_vae")

        assert planned(*grid).folder.root != planned(*grid, "++loss.c_max=3").folder.root

    def test_a_single_value_is_a_trial(self, planned: Planned) -> None:
        """What is not typed is as composed."""
        (trial,) = planned("beta=2").asked

        assert {"beta": 2, "latent_dim": 10, "seed": 0} == trial.values

    def test_repeated_values_are_dropped_and_said(self, planned: Planned) -> None:
        """4 and 4.0 are one trial."""
        found = planned("beta=4,4.0,1", "seed=0")

        assert 2 == len(found.asked)
        assert ("repeated values dropped from beta=4,4,1",) == found.notes

    def test_a_swept_group_is_composed_for_each_choice(self, planned: Planned) -> None:
        """Its name is a coordinate; its keys are each trial's own."""
        found = planned("model=mlp,conv", "beta=1")

        assert ["model"] == found.manifest.axes == found.manifest.groups
        assert {"mlp", "conv"} == {
            found.manifest.config_of(trial)["model"]["name"] for trial in found.asked
        }
        assert "mlp+conv" == found.manifest.model
        assert not any(key.startswith("model") for key in found.manifest.base)

    def test_further_keys_are_axes(self, planned: Planned) -> None:
        """Any key may be swept, and is no part of the base."""
        found = planned("beta=1", "optimizer.lr=1e-4,1e-3", "trainer.batch_size=64,128")

        assert ["optimizer.lr", "trainer.batch_size"] == found.manifest.axes
        assert 4 == len(found.asked)
        assert "optimizer.lr" not in found.manifest.base

    def test_the_command_is_kept_as_it_was_typed(self, planned: Planned) -> None:
        """It can be typed again, whatever it is quoted with."""
        found = planned("beta=1", command=["-m", "beta=choice(1, 4)"])

        assert "bvae -m 'beta=choice(1, 4)'" == found.manifest.command


class TestMachine:
    """What this machine cannot do is told before anything starts, with all other mistakes."""

    SMALL = Machine(processors=2, cpus=2, memory=8e9, torch="2.13.0+cpu")

    def test_all_mistakes_at_once(self, planned: Planned) -> None:
        """Of the machine, and of what is typed."""
        asked = ("trainer.accelerator=gpu", "threads=64", "objective=migg")
        settings = SweepSettings(trial="foo")

        with pytest.raises(ConfigError) as raised:
            planned(*GRID, *asked, settings=settings, machine=self.SMALL)

        assert ["hydra.sweeper.trial=foo", "objective=migg", "trainer.accelerator=gpu"] == [
            line.partition(":")[0] for line in str(raised.value).splitlines()[:3]
        ]
        assert str(raised.value).splitlines()[3].startswith("threads=64: expected at most 2")

    @pytest.mark.parametrize("values", ["2,1000000000", "interval(2,1000000000)"])
    def test_the_largest_model_must_fit(self, planned: Planned, values: str) -> None:
        """Of a grid, and of what a search may choose."""
        asked = ("beta=1,4", f"latent_dim={values}", "seed=0")
        with pytest.raises(ConfigError, match=r"latent_dim=1000000000, .*has 8 GB; give smaller"):
            planned(*asked, machine=self.SMALL)

    def test_trials_that_run_elsewhere(self, planned: Planned) -> None:
        """A login node needs no card."""
        found = planned(*GRID, "trainer.accelerator=gpu", "threads=64", machine=None)

        assert 64 == found.configs[0].threads

    def test_a_study_of_a_larger_machine_goes_on(self, planned: Planned) -> None:
        """More threads than processors are slow; a card that is not there is none."""
        asked = (*GRID, "study=mine", "threads=64", "trainer.precision=16-mixed")
        planned(*asked).write()

        assert 64 == planned(*asked, machine=self.SMALL).configs[0].threads
        with pytest.raises(ConfigError, match=r"^trainer.accelerator=gpu: torch 2.13.0\+cpu"):
            planned(*asked, "trainer.accelerator=gpu", machine=self.SMALL)


class TestInterpolations:
    """Values that depend on swept keys."""

    def test_each_trial_has_its_own(self, planned: Planned) -> None:
        """Of a grid, of further axes, and of a single trial."""
        swept = ("beta=1,4", "trainer.max_steps=40,80")
        texts = ("optimizer.lr=${beta}", "trainer.val_every_n_steps=${trainer.max_steps}")
        made = planned(*swept, *texts).manifest

        assert {(1, 40), (1, 80), (4, 40), (4, 80)} == {
            (found["optimizer"]["lr"], found["trainer"]["val_every_n_steps"])
            for found in map(made.config_of, map(Trial.of, made.trials))
        }
        alone = planned("beta=2", *texts).manifest
        assert 2 == alone.config_of(Trial.of(alone.trials[0]))["optimizer"]["lr"]

    @pytest.mark.parametrize("swept", ["beta=1,4", "beta=4.0", "seed=0"])
    def test_a_whole_number_is_an_integer(self, planned: Planned, swept: str) -> None:
        """A β of 4.0 is 4, where it is typed and where it is the default."""
        made = planned(swept, "trainer.log_every_n_steps=${beta}").manifest

        steps = made.config_of(Trial.of(made.trials[-1]))["trainer"]["log_every_n_steps"]
        assert (4, int) == (steps, type(steps))

    def test_a_search_too(self, planned: Planned) -> None:
        """Also of trials that are yet to be found."""
        made = planned("beta=interval(1,64)", "optimizer.lr=${beta}").manifest
        trial = Trial.of({"beta": 3.21, "latent_dim": 10, "seed": 0})

        assert 3.21 == made.config_of(trial)["optimizer"]["lr"]

    def test_the_same_command_goes_on(self, planned: Planned) -> None:
        """With other values of β, too; another interpolation, or a value, is another study."""
        planned("beta=1,4", "study=s", "optimizer.lr=${beta}").write()

        assert 3 == len(planned("beta=16", "study=s", "optimizer.lr=${beta}").manifest.trials)
        for other in ("${latent_dim}", "4.0"):
            with pytest.raises(ConfigError, match=r"\n  optimizer\.lr: \$\{beta\} in the study"):
                planned("beta=1,4", "study=s", f"optimizer.lr={other}")

    @pytest.mark.parametrize(
        ("swept", "key"),
        [
            ("beta=1,0.5", "trainer.log_every_n_steps"),
            ("beta=interval(1,4)", "trainer.log_every_n_steps"),
            ("optimizer.lr=1,0.5", "trainer.log_every_n_steps"),
            ("seed=1,0,2", "trainer.batch_size"),
            ("latent_dim=8,200000,16", "trainer.batch_size"),
        ],
    )
    def test_every_trial_is_checked(self, planned: Planned, swept: str, key: str) -> None:
        """The first would do, another would not."""
        with pytest.raises(ConfigError, match=f"^{key}: expected"):
            planned(swept, f"{key}=${{{swept.partition('=')[0]}}}")

    @pytest.mark.parametrize("key", ["study", "runs_dir", "objective", "data.path"])
    def test_what_the_study_has_once_cannot_depend(self, planned: Planned, key: str) -> None:
        """It would be resolved for one trial, and be wrong for the others."""
        with pytest.raises(ConfigError, match=rf"^{key}: cannot depend on a swept key.*\$\{{beta"):
            planned("beta=1,4", f"{key}='a_${{beta}}'")

    def test_an_axis_of_the_study_cannot_depend(self, planned: Planned) -> None:
        """Trials are named after its values."""
        planned("beta=1", "study=s", "optimizer.lr=1e-3,1e-4").write()

        with pytest.raises(ConfigError, match=r"^optimizer\.lr: .*cannot depend"):
            planned("beta=1", "study=s", "optimizer.lr=${beta}")

    def test_steps_that_depend(self, planned: Planned) -> None:
        """A study of them is neither longer nor shorter than itself."""
        command = ("latent_dim=2,3", "study=s", "trainer.max_steps=${latent_dim}")
        study = planned(*command).write()
        for trial in study.trials:
            write_result(study, trial, steps=trial.values["latent_dim"])

        assert study.trials == planned(*command, "extend=true").write().trials
        assert 0 == load_study(study.folder.root).left


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
            folder.forget()
            return planned("beta=1", *own, f"data.path={path}", *arguments)

        return typed

    def test_one_seed_has_no_best_beta(self, typed: Planned) -> None:
        """Which is said before anything is trained; two are not told so."""
        assert ["udr compares seeds, and there is one"] == [
            note.split(":")[0] for note in typed().notes
        ]
        assert () == typed("seed=0,1").notes

    def test_what_the_data_decide(self, typed: Planned, images: Path) -> None:
        """The objective is UDR; workers get an absolute path, and which images are meant."""
        made = typed().manifest
        data = made.config_of(made_trial(made))["data"]

        assert ("udr", None, 3 * 32 * 32) == (made.objective, made.lattice, made.image_size)
        assert str(images) == data["path"]
        assert folder.contents(images).sha256 == data["content"] == made.base["data.content"]

    def test_the_same_images_elsewhere_are_the_same_study(
        self, typed: Planned, images: Path
    ) -> None:
        """A study goes by what is in the folder, not by where it is."""
        begun = typed().write()
        images.rename(images.parent / "moved")

        assert begun.folder.root == typed(path="moved").folder.root

    def test_the_name_says_what_the_images_are(self, typed: Planned, images: Path) -> None:
        """By the folder's name, as far as a file may be called so."""
        shutil.copytree(images, images.parent / "Zoë faces (2)")
        found = typed(path='"Zoë faces (2)"')

        assert re.fullmatch(r"images-mlp-[0-9a-f]{8}", typed().manifest.name)
        assert re.fullmatch(r"Zoë-faces-2-mlp-[0-9a-f]{8}", found.manifest.name)
        shutil.copytree(images, images.parent / "more")
        assert typed(path="images,more").manifest.name.startswith("folder-mlp-")

    def test_the_name_says_what_an_array_is(self, planned: Planned, tmp_path: Path) -> None:
        """By the file's name without its ending."""
        np.savez(tmp_path / "faces.v2.npz", images=np.zeros((4, 32, 32), np.uint8))
        found = planned("beta=1", "data=npz", "data.path=faces.v2.npz", "trainer.batch_size=2")

        assert found.manifest.name.startswith("faces.v2-mlp-")

    def test_a_study_under_its_old_default_name_is_continued(
        self, typed: Planned, images: Path
    ) -> None:
        """Studies of any folder were once called `folder-…`."""
        begun = typed().write()
        old = begun.folder.root.with_name(begun.name.replace("images-", "folder-"))
        begun.folder.root.rename(old)

        again = typed("seed=0,1")
        assert old == again.folder.root
        assert old.name == again.manifest.name

    def test_other_images_are_another_study(self, typed: Planned, images: Path) -> None:
        """By default under another name; under the same one the command is refused."""
        typed("study=mine").write()
        name = typed().folder.name
        Image.new("L", (32, 32), 30).save(images / "30.png")

        assert name != typed().folder.name
        with pytest.raises(ConfigError, match=r"data\.content: the images are others"):
            typed("study=mine")

    def test_a_study_among_its_images_goes_on(
        self, typed: Planned, images: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As with `cd my_images; bvae data=folder path=.`: its own pictures are none of them."""
        place = f"runs_dir={in_quotes(str(images / 'runs'))}"
        begun = typed(place).write()
        media = begun.folder.trials / "beta=1" / "media"
        media.mkdir(parents=True)
        shutil.copy(images / "10.png", media)

        assert begun.folder.root == typed(place, "seed=0,1").folder.root

    def test_folders_may_be_swept(self, typed: Planned, images: Path) -> None:
        """Then a trial's path says which; the study goes by none."""
        shutil.copytree(images, images.parent / "more")

        made = typed(path="images,more").manifest

        assert ["data.path"] == made.axes
        assert "data.content" not in made.base
        assert {str(images), str(images.parent / "more")} == {
            trial["data.path"] for trial in made.trials
        }

    def test_one_of_the_swept_folders_is_a_smaller_grid(self, typed: Planned, images: Path) -> None:
        """Also where it is typed alone, which would otherwise tell its images."""
        shutil.copytree(images, images.parent / "more")
        swept = typed("study=two", path="images,more").write()

        again = typed("study=two", path="more")

        assert swept.trials == again.write().trials
        assert [str(images.parent / "more")] == [p.values["data.path"] for p in again.asked]


def drawn(n: int = 16, height: int = 32) -> NDArray[np.uint8]:
    """Images of noise."""
    return np.random.default_rng(n).integers(0, 256, (n, height, 32), np.uint8)


def drawn_again(n: int = 16) -> NDArray[np.uint8]:
    """The same ones."""
    return drawn(n)


class TestSweptParts:
    """Arguments of own parts, which nothing has a value of but what is typed."""

    DATA = ("data=own", "trainer.batch_size=4")
    SOURCE = f"++data.source._target_={__name__}.drawn"

    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            ([SOURCE, "++data.source.n=16,24"], {16, 24}),
            ([f"{SOURCE},{__name__}.drawn_again", "++data.source.n=16"], {16}),
            ([SOURCE, "data.resolution=32", "++data.source.height=40,48"], {16}),
        ],
    )
    def test_images(self, planned: Planned, arguments: list[str], expected: set[int]) -> None:
        """Each trial has the images that its values say; the study goes by none."""
        found = planned("beta=1", *self.DATA, *arguments)

        assert 2 == len(found.configs)
        assert expected == {checks.described(one).number for one in found.configs}
        assert "data.content" not in found.manifest.base

    def test_images_of_one_wrong_value(self, planned: Planned) -> None:
        """They are looked at, value by value."""
        with pytest.raises(ConfigError, match="but the images have 40x32"):
            planned("beta=1", *self.DATA, self.SOURCE, "++data.source.height=32,40")

    def test_images_cannot_depend_on_a_swept_key(self, planned: Planned) -> None:
        """It would be those of the first value."""
        with pytest.raises(ConfigError, match=r"^data\.source\.n: cannot depend on a swept key"):
            planned("seed=16,24", *self.DATA, self.SOURCE, "++data.source.n=${seed}")

    @pytest.mark.parametrize("values", ["1,4", "interval(1,4)"])
    @pytest.mark.parametrize("key", ["loss.gamma", "loss.options.gamma"])
    def test_keys_that_nothing_has(self, planned: Planned, key: str, values: str) -> None:
        """They are swept and searched like others, however deep."""
        own = ("loss=own", f"++loss._target_={__name__}.Weighted")
        made = planned("beta=1", *own, f"++{key}={values}").manifest

        assert [key] == made.axes
        assert 1 <= config.flatten(made.config_of(made_trial(made)))[key] <= 4

    def test_what_was_put_right_is_seen(
        self, planned: Planned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """In one process, as in a notebook: modules and images are those of the files now."""
        monkeypatch.setattr(sys, "path", [*sys.path])
        mine = tmp_path / "changing_part.py"
        content = "import numpy\n\ndef load():\n    return numpy.zeros(({n}, 32, 32), 'u1')\n"
        own = ("beta=1", "data=own", "++data.source._target_=changing_part.load")
        mine.write_text(content.format(n=3))
        with pytest.raises(ConfigError, match="expected at most the 3 images of own"):
            planned(*own)

        mine.write_text(content.format(n=128))
        assert "changing_part.py" in planned(*own).manifest.sources

    def test_an_axis_that_is_typed_no_more(self, planned: Planned) -> None:
        """The study sweeps it, and has no value that would stand for it."""
        own = ("loss=own", f"++loss._target_={__name__}.Weighted", "study=mine")
        planned(*own, "++loss.gamma=1,4").write()

        with pytest.raises(ConfigError, match=r"^loss\.gamma: swept in this study, .* write its"):
            planned(*own)


class Weighted(BetaVAELoss):
    """A loss that takes more than ours, and does not use it."""

    def __init__(self, *, beta: float, gamma: float = 1, options: Any = None) -> None:
        super().__init__(beta=beta)


def made_trial(made: Manifest) -> Trial:
    """Return the first trial of a manifest."""
    return Trial.of(made.trials[0])


class TestConfigs:
    def test_one_for_each_choice_beside_the_grid(self, planned: Planned) -> None:
        """Of keys as of groups: each may have data of its own to build."""
        found = planned("beta=1,4", "data.score_every=[1,1,1,2,2],[1,1,2,2,2]", "model=mlp,conv")

        assert 4 == len(found.configs)
        assert {(1, 1, 1, 2, 2), (1, 1, 2, 2, 2)} == {
            tuple(one.data.score_every or ()) for one in found.configs
        }


class TestMistakes:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["objective=migg"], "objective=migg: not a score"),
            (["trainer.batch_size=64,999999"], "trainer.batch_size: expected at most"),
            (["data.score_every=[1,1],[1,1,1,2,2]"], "data.score_every: expected a step"),
            (["study=a/b"], "study: expected the name of a folder, but got 'a/b'"),
            (["study=.."], "study: expected the name of a folder, but got '..'"),
            (["protocol=fast,nope", "beta=interval(1,4)"], "protocol=nope: no such protocol"),
            (
                ["data.likelihood=gaussian,bernoulli", "beta=interval(1,4)"],
                "data.variance: gaussian pixels need one",
            ),
            (
                ["trainer.batch_size=interval(64,999999)", "beta=1,4"],
                "trainer.batch_size: expected at most",
            ),
        ],
    )
    def test_one(self, planned: Planned, arguments: list[str], message: str) -> None:
        """What only the whole configuration shows is found before anything is written."""
        with pytest.raises(ConfigError, match=re.escape(message)):
            planned("beta=1", *arguments)

    def test_all_at_once_each_once(self, planned: Planned) -> None:
        """Several mistakes of several choices are told together."""
        with pytest.raises(ConfigError, match="migg") as raised:
            planned("model=mlp,conv", "objective=migg", "trainer.batch_size=999999")

        assert 2 == len(str(raised.value).splitlines())

    def test_a_folder_that_cannot_hold_a_study(
        self, planned: Planned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A file in the way, or no right to write."""
        (tmp_path / "file").touch()
        with pytest.raises(ConfigError, match="file is a file; give a folder"):
            planned("beta=1", "runs_dir=file")

        monkeypatch.setattr(place.os, "access", lambda *_: False)
        with pytest.raises(ConfigError, match="cannot be written; give another runs_dir"):
            planned("beta=1")


class TestUnfinished:
    @pytest.mark.parametrize("latents", ["2,10", "interval(2,10)"])
    def test_as_many_workers_as_its_largest_model_allows(
        self, planned: Planned, latents: str
    ) -> None:
        """The trials are those on disk, and of a search those it may choose."""
        study = planned("beta=1,4", f"latent_dim={latents}", "seed=0", "study=mine").write()

        found = module.unfinished(study)

        assert study.trials == found.asked
        assert [10] == [one.latent_dim for one in found.largest]


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


class TestSearch:
    def test_an_interval_is_searched(self, planned: Planned) -> None:
        """The study begins as a coarse line; the rest is found by its workers."""
        found = planned("beta=interval(1,64)", "latent_dim=5,10,20", "seed=0,1")
        made = found.manifest

        assert [1, 64, 8, 2, 16, 4, 32] == [trial.values["beta"] for trial in found.asked]
        assert {(10, 0)} == {(p.values["latent_dim"], p.values["seed"]) for p in found.asked}
        assert made.search is not None
        assert ([0, 1], 20, 13) == (made.search.seeds, made.search.n_trials, made.unfound)
        assert made.search.sampler_name == "TPESampler"

    def test_it_is_said(self, planned: Planned) -> None:
        """How many trainings it takes, where nobody has said so."""
        notes = planned("beta=interval(1,64)").notes
        assert ("a search of 20 trainings (hydra.sweeper.n_trials) by TPESampler",) == notes

    @pytest.mark.parametrize("settings", [SweepSettings(n_trials=3), SweepSettings(sampler="gp")])
    def test_so_are_values_where_a_sampler_or_a_number_is_given(
        self, planned: Planned, settings: SweepSettings
    ) -> None:
        """As in Hydra's Optuna sweeper."""
        made = planned("beta=1,4,16", "latent_dim=5,10", "seed=0,1", settings=settings).manifest

        assert made.search is not None
        assert {"values": (5, 10)} == made.search.space["latent_dim"]

    def test_no_more_trainings_than_there_are_trials(self, planned: Planned) -> None:
        """Who asks for a hundred of a grid of six gets six."""
        found = planned("beta=1,4,16", "latent_dim=5,10", settings=SweepSettings(n_trials=100))

        assert 6 == len(found.manifest.trials) + found.manifest.unfound

    def test_any_key_may_be_searched(self, planned: Planned) -> None:
        """A group, an interval of another key: in the middle at first."""
        found = planned("beta=1,4", "model=conv,mlp", "optimizer.lr=tag(log,interval(1e-4,1e-2))")

        assert ["model", "optimizer.lr"] == found.manifest.axes
        assert {("mlp", 0.001)} == {
            (p.values["model"], p.values["optimizer.lr"]) for p in found.asked
        }

    @pytest.mark.parametrize(
        ("arguments", "settings", "message"),
        [
            (
                ["objective=udr"],
                SweepSettings(),
                "objective=udr: compares seeds",
            ),
            (
                [],
                SweepSettings(pruner="median"),
                "hydra.sweeper.pruner: holds the configurations of a grid",
            ),
            ([], SweepSettings(sampler="bayes"), "hydra.sweeper.sampler: expected one of tpe, gp"),
        ],
    )
    def test_mistakes(
        self, planned: Planned, arguments: list[str], settings: SweepSettings, message: str
    ) -> None:
        """What cannot be searched by, or with, is told before anything starts."""
        with pytest.raises(ConfigError, match=re.escape(message)):
            planned("beta=interval(1,64)", *arguments, settings=settings)


class TestImagesAnywhere:
    FOLDER = ("data=folder", "trainer.batch_size=2", "study=one")

    @pytest.fixture(autouse=True)
    def images(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Two folders with two images each, in somebody's home."""
        monkeypatch.setenv("HOME", str(tmp_path))
        for name in ("${u} (1)", "a,b"):
            (tmp_path / name).mkdir()
            for grey in (10, 20):
                Image.new("L", (32, 32), grey).save(tmp_path / name / f"{grey}.png")

    def test_paths_are_absolute_in_a_manifest(self, planned: Planned, tmp_path: Path) -> None:
        """Another account has another home, and a name may look like an interpolation."""
        found = planned("beta=1,4", *self.FOLDER, r"data.path='~/\${u} (1)'")
        study = found.write()

        paths = {study.manifest.config_of(trial)["data"]["path"] for trial in study.trials}
        assert {str(tmp_path / "${u} (1)")} == paths == {one.data.path for one in found.configs}
        planned("beta=1,4", *self.FOLDER, rf"data.path='{tmp_path}/\${{u}} (1)'").write()

    def test_swept_ones_too(self, planned: Planned, tmp_path: Path) -> None:
        """Each is a value of its trials."""
        study = planned(*self.FOLDER, r"data.path='~/\${u} (1)','~/a,b'").write()

        paths = {str(tmp_path / "${u} (1)"), str(tmp_path / "a,b")}
        assert paths == {trial.values["data.path"] for trial in study.trials}
        assert paths == {study.manifest.config_of(one)["data"]["path"] for one in study.trials}

    def test_an_older_study_goes_on(self, planned: Planned) -> None:
        """Its trials were named after paths with `~`."""
        typed = (*self.FOLDER, r"data.path='~/\${u} (1)','~/a,b'")
        study = planned(*typed).write()
        then = [{**one, "data.path": with_tilde(one["data.path"])} for one in study.manifest.trials]
        replace(study.manifest, trials=then).write(study.folder.manifest)

        assert then == planned(*typed).write().manifest.trials
