import argparse
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from omegaconf import OmegaConf

from bvae import config
from bvae.__main__ import main
from bvae.exceptions import ConfigError, DataError
from bvae.machine import Machine
from sweeps import load_study
from sweeps.commands import resume, sweep
from sweeps.commands.sweep import Sweep, conf_of
from sweeps.plan.settings import SweepSettings
from sweeps.queue.queue import Queue
from sweeps.study.command import extend
from sweeps.study.folder import StudyFolder
from sweeps.study.heartbeat import WorkerRegistry
from sweeps.study.quoting import escaped, for_hydra, for_shell
from sweeps.study.study import Study
from sweeps.workers.exit_codes import Exit
from sweeps.workers.orchestrator import running
from sweeps.workers.worker import WorkerLoop
from tests.doubles.names import NAMES
from tests.doubles.studies import CONFIGURATION, make_study, slugs

Typed = Callable[..., tuple[int, str]]
FAKE = ("hydra.sweeper.trial=tests.doubles.fakes.instant", "tracker=none", "study=swept")
GRID = ("beta=1,4", "latent_dim=2", "seed=0,1")


class TestConf:
    @pytest.mark.parametrize(
        ("key", "value", "message"),
        [
            ("n_workers", 0, "n_workers: expected an integer of at least 1, but got 0"),
            ("max_attempts", 0, "max_attempts: expected an integer of at least 1, but got 0"),
            ("max_deaths", -1, "max_deaths: expected an integer of at least 1, but got -1"),
            ("max_minutes", 0.0, "max_minutes: expected a finite number above 0, but got 0"),
            ("max_minutes", float("nan"), "max_minutes: expected a finite number above 0"),
            ("direction", "minimize", "direction: expected maximize"),
            ("study_name", "x", "study_name: a study is named by study="),
            ("storage", "sqlite:///a.db", "SQLite locks no rows: two workers would be handed one"),
            ("storage", "mysql://h/d", "expected postgresql://user@host/database, but got mysql"),
            (
                "storage",
                "postgresql://u:p@h/d",
                "a password has no place in a file; set PGPASSWORD",
            ),
            ("storage", "postgresql://h/d?password=p", "a password has no place in a file"),
            ("workers_per_device", 0, "workers_per_device: expected an integer of at least 1"),
            ("pruner", "hyperband", "pruner: expected one of percentile, median, or null"),
            ("n_trials", 0, "n_trials: expected an integer of at least 1, but got 0"),
        ],
    )
    def test_mistakes(self, key: str, value: object, message: str) -> None:
        """Each is told with the key as it is typed."""
        conf = SweepSettings(**{key: value})  # type: ignore[arg-type]

        with pytest.raises(ConfigError, match=rf"^hydra\.sweeper\.{key}: ") as raised:
            conf.check()
        assert message in str(raised.value)

    def test_all_at_once(self) -> None:
        """And none where there is none."""
        with pytest.raises(ConfigError, match="n_workers") as raised:
            SweepSettings(n_workers=0, max_minutes=-1.0, storage="x").check()

        assert 3 == len(str(raised.value).splitlines())
        SweepSettings(n_workers=2, max_minutes=0.5).check()

    def test_keys_become_one_record(self) -> None:
        """What is not typed has its default."""
        conf = conf_of(OmegaConf.create({"n_workers": 3, "max_deaths": 2}))

        assert SweepSettings(n_workers=3, max_deaths=2) == conf


class TestPlugIn:
    def test_hydra_finds_the_sweeper_beside_its_launchers(self) -> None:
        """The real launchers of the shared namespace are not hidden."""
        plugins = Plugins.instance()
        names = [found.__name__ for found in plugins.discover(Sweeper)]
        launchers = [found.__name__ for found in plugins.discover(Launcher)]

        assert 1 == names.count("BvaeSweeper")
        assert {"LocalLauncher", "SlurmLauncher", "JoblibLauncher"} <= {*launchers}
        assert SweepSettings._target_ in plugins.class_name_to_class


class TestLaunch:
    @pytest.fixture
    def launched(self, monkeypatch: pytest.MonkeyPatch) -> list[WorkerLoop]:
        """What is handed to launchers, which return at once."""
        loops: list[WorkerLoop] = []

        def launcher(*, task_function: WorkerLoop, **_: object) -> SimpleNamespace:
            loops.append(task_function)
            returned = SimpleNamespace(return_value=None)
            return SimpleNamespace(launch=lambda overrides, initial_job_idx: [returned])

        plugins = SimpleNamespace(instantiate_launcher=launcher)
        monkeypatch.setattr(Plugins, "instance", lambda: plugins)
        return loops

    @staticmethod
    def sweep_with(launcher: str, **keys: object) -> Sweep:
        """Return a sweep with a launcher of this name."""
        config = OmegaConf.create(
            {"hydra": {"sweeper": keys, "launcher": {"_target_": f"hydra_plugins.x.{launcher}"}}}
        )
        return Sweep(None, config, [])  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        ("launcher", "detached"),
        [("LocalLauncher", False), ("JoblibLauncher", False), ("SlurmLauncher", True)],
    )
    def test_workers_of_a_cluster_drain_the_queue(
        self, tmp_path: Path, launched: list[WorkerLoop], launcher: str, detached: bool
    ) -> None:
        """Those of this machine end with the command that started them."""
        study = make_study(tmp_path / "tested")
        self.sweep_with(launcher)._launch(study.folder.root, 0, [])

        here = str(Path.cwd())
        assert [WorkerLoop(study.folder.root, detached=detached, typed_in=here)] == launched

    @pytest.mark.parametrize(
        ("launcher", "seen"),
        [("LocalLauncher", ["0", "3", "0"]), ("SlurmLauncher", [None, None, None])],
    )
    def test_one_card_per_worker(
        self, tmp_path: Path, launched: list[WorkerLoop], launcher: str, seen: list[str | None]
    ) -> None:
        """From the orchestrator's list; a cluster hands out its own."""
        study = make_study(tmp_path / "tested")
        sweeps = self.sweep_with(launcher)
        for index in range(3):
            sweeps._launch(study.folder.root, index, ["0", "3"])

        assert seen == [loop.gpu for loop in launched]

    @pytest.mark.parametrize(
        ("launcher", "keys", "gpus", "number"),
        [
            ("LocalLauncher", {}, [], 8),
            ("LocalLauncher", {}, ["0", "1"], 2),
            ("LocalLauncher", {"n_workers": 3}, ["0", "1"], 3),
            ("LocalLauncher", {"workers_per_device": 3}, ["0", "1"], 6),
            ("BasicLauncher", {"n_workers": 3}, [], 1),
        ],
    )
    def test_how_many_workers(
        self,
        launcher: str,
        keys: dict[str, int],
        gpus: list[str],
        number: int,
    ) -> None:
        """What was typed, else one per card, else one per core; one where they share a process."""
        machine = Machine(processors=8, cpus=8, memory=100e9, cards=tuple(gpus))
        one = config.parse(CONFIGURATION)
        planned = SimpleNamespace(configs=[one], largest=[one])

        found = self.sweep_with(launcher, **keys)._share(planned, machine)  # type: ignore[arg-type]

        assert number == found.workers

    def test_what_a_worker_raised_is_raised(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Hydra keeps it until it is looked at."""

        class Returned:
            @property
            def return_value(self) -> None:
                raise MemoryError("no memory")

        launcher = SimpleNamespace(launch=lambda overrides, initial_job_idx: [Returned()])
        plugins = SimpleNamespace(instantiate_launcher=lambda **_: launcher)
        monkeypatch.setattr(Plugins, "instance", lambda: plugins)

        with pytest.raises(MemoryError, match="no memory"):
            self.sweep_with("LocalLauncher")._launch(
                make_study(tmp_path / "tested").folder.root, 0, []
            )


def test_a_typed_password_is_not_in_the_list_of_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command starts again without it, and only then."""
    started: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(os, "execv", lambda program, words: started.append((program, words)))
    monkeypatch.setenv("PGPASSWORD", "old")
    storage = "hydra.sweeper.storage=postgresql://u:p%2Fw@h/d"
    monkeypatch.setattr(sys, "orig_argv", ["python", "-m", "bvae", "-m", storage, "beta=1"])
    sweep.hide_password()

    clean = ["-m", "bvae", "-m", "hydra.sweeper.storage=postgresql://u@h/d", "beta=1"]
    assert [(sys.executable, [sys.executable, *clean])] == started
    assert "p/w" == os.environ["PGPASSWORD"]

    monkeypatch.setattr(sys, "orig_argv", ["python", *clean])
    sweep.hide_password()
    assert 1 == len(started)


@pytest.mark.parametrize(
    ("most", "said"),
    [(15, "hardly use their range: 99.8 % of their values are in 0..14"), (255, "")],
)
def test_images_of_little_contrast_are_told(
    most: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Before anything is trained, with the key that mends it."""
    monkeypatch.setenv("BVAE_CACHE", str(tmp_path / "cache"))
    ramp = np.linspace(0, most, 3 * 32 * 32).reshape(3, 32, 32)
    np.savez(tmp_path / "own.npz", images=ramp.astype(np.uint8))
    data = {"name": "npz", "path": str(tmp_path / "own.npz"), "score_every": None}
    own = {"data": data, "objective": None}
    own["trainer"] = CONFIGURATION["trainer"] | {"batch_size": 2}

    sweep.prepare(SimpleNamespace(configs=[config.parse(CONFIGURATION | own)]))  # type: ignore[arg-type]

    told = capsys.readouterr().err
    assert said in told
    assert bool(said) == ("data.variance" in told)


def test_images_without_any_contrast_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All zeros are no images."""
    monkeypatch.setenv("BVAE_CACHE", str(tmp_path / "cache"))
    np.savez(tmp_path / "own.npz", images=np.zeros((3, 32, 32), np.uint8))
    data = {"name": "npz", "path": str(tmp_path / "own.npz"), "score_every": None}
    own = {"data": data, "objective": None}
    own["trainer"] = CONFIGURATION["trainer"] | {"batch_size": 2}

    with pytest.raises(DataError, match="nothing to learn"):
        sweep.prepare(SimpleNamespace(configs=[config.parse(CONFIGURATION | own)]))  # type: ignore[arg-type]


@pytest.mark.parametrize(("number", "said"), [(3, True), (60, False)])
def test_too_few_images_to_hold_some_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], number: int, *, said: bool
) -> None:
    """It is said in one line before anything is trained."""
    grey = np.arange(number, dtype=np.uint8)[:, None, None]
    np.savez(tmp_path / "own.npz", images=np.full((number, 32, 32), grey))
    data = {"name": "npz", "path": str(tmp_path / "own.npz"), "score_every": None, "holdout": 0.1}
    own = {"data": data, "objective": None}
    own["trainer"] = CONFIGURATION["trainer"] | {"batch_size": 2}
    sweep.prepare(SimpleNamespace(configs=[config.parse(CONFIGURATION | own)]))  # type: ignore[arg-type]

    line = "data.holdout=0.1 would hold out fewer than two of 3 images: none are held out"
    assert said == (line in capsys.readouterr().err)


def test_a_second_batch_is_of_images_that_are_not_held_out(tmp_path: Path) -> None:
    """How many are left is known when they have been read, and said before anything is trained."""
    grey = np.arange(40, dtype=np.uint8)[:, None, None]
    np.savez(tmp_path / "own.npz", images=np.full((40, 32, 32), grey))
    data = {"name": "npz", "path": str(tmp_path / "own.npz"), "score_every": None, "holdout": 0.4}
    loss = {"_target_": "bvae.losses.FactorVAELoss", "discriminator_width": 8}
    own = {"data": data, "objective": None, "loss": loss}
    own["trainer"] = CONFIGURATION["trainer"] | {"batch_size": 18}
    planned = SimpleNamespace(configs=[config.parse(CONFIGURATION | own)])

    with pytest.raises(
        ConfigError, match=r"at most half of the \d\d images of npz that are trained"
    ):
        sweep.prepare(planned)  # type: ignore[arg-type]


@pytest.fixture
def typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Typed:
    """Type `bvae` in this process, in a folder of its own; returns exit code and messages."""
    monkeypatch.setattr("sweeps.commands.sweep.prepare", lambda planned: None)
    monkeypatch.setattr("sweeps.report.page.write_report", lambda read: read.study.folder.report)

    def typed(*arguments: str, sweeps: bool = True) -> tuple[int, str]:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["bvae", *FAKE, *arguments, *["-m"][: int(sweeps)]])
        GlobalHydra.instance().clear()
        with pytest.raises(SystemExit, match=r"^\d+$") as ended:
            main()
        return int(ended.value.code or 0), capsys.readouterr().err

    return typed


def swept(tmp_path: Path) -> Study:
    """Return the study that was swept."""
    return load_study(tmp_path / "runs" / "swept")


class TestTogether:
    NEW = ("hydra/launcher=basic", "beta=16", "latent_dim=2", "seed=0")

    @pytest.fixture
    def folder(self, typed: Typed, tmp_path: Path) -> StudyFolder:
        """The folder of a study of which one trial is to be run by another command."""
        typed("hydra/launcher=basic", *GRID)
        study = swept(tmp_path)
        study.folder.trial(slugs(study)[0]).result.unlink()
        return study.folder

    @pytest.mark.parametrize("sweeps", [True, False])
    def test_a_second_command_works_along(
        self, typed: Typed, folder: StudyFolder, *, sweeps: bool
    ) -> None:
        """It adds its trials and runs them; the other command's are left to that."""
        with running(folder):
            code, said = typed(*self.NEW[0 if sweeps else 1 :], sweeps=sweeps)

        assert Exit.COMPLETE == code, said
        assert f"run already by process {os.getpid()} on" in said
        assert "this command works along as one more worker" in said
        assert "1 trial left to the other command" in said
        states = load_study(folder.root).states
        assert ("pending", "complete") == (
            states["beta=1,latent_dim=2,seed=0"],
            states["beta=16,latent_dim=2,seed=0"],
        )

    def test_with_a_limit_of_its_own_it_hands_its_trials_over(
        self, typed: Typed, folder: StudyFolder
    ) -> None:
        """Code 3; they are in the study."""
        with running(folder):
            code, said = typed(*self.NEW, "hydra.sweeper.max_minutes=1")

        assert (Exit.LEFT, 2) == (code, load_study(folder.root).counts["pending"]), said
        assert "2 trials left to it" in said

    def test_none_is_added_while_a_study_is_rescored(
        self, typed: Typed, folder: StudyFolder
    ) -> None:
        """Its results would be of the old protocol."""
        with running(folder, doing="rescoring"):
            code, said = typed(*self.NEW)

        assert Exit.USAGE == code
        assert "(rescoring)" in said
        assert 4 == len(load_study(folder.root).trials)


class TestOnEnd:
    TELL = "hydra.sweeper.on_end='echo $BVAE_STUDY $BVAE_EXIT > told'"

    @pytest.mark.parametrize("sweeps", [True, False])
    def test_a_shell_is_told(self, typed: Typed, tmp_path: Path, *, sweeps: bool) -> None:
        """Which study has ended, and how."""
        here = ("beta=4", "latent_dim=2", "seed=0")
        typed(*(("hydra/launcher=basic", *GRID) if sweeps else here), self.TELL, sweeps=sweeps)

        assert f"{swept(tmp_path).folder.root} 0\n" == (tmp_path / "told").read_text()

    def test_its_failure_is_said(self, typed: Typed) -> None:
        """And is not the sweep's."""
        code, said = typed("hydra/launcher=basic", *GRID, "hydra.sweeper.on_end='exit 7'")

        assert Exit.COMPLETE == code
        assert "hydra.sweeper.on_end: exit 7 failed with exit code 7" in said


class TestResume:
    def test_from_any_folder(
        self, typed: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What is unfinished is run, what was dropped stays away; again, nothing is run."""
        typed("hydra/launcher=basic", *GRID, "hydra.sweeper.max_minutes=5")
        study = swept(tmp_path)
        Queue(study).drop(slugs(study)[:1], WorkerRegistry(study.folder.workers))
        study.folder.trial(slugs(study)[1]).result.unlink()
        monkeypatch.chdir("/")

        for _ in range(2):
            GlobalHydra.instance().clear()
            assert Exit.COMPLETE == resume.run(argparse.Namespace(study=study.folder.root))
            assert [*slugs(study)[1:]] == slugs(swept(tmp_path))
            assert 3 == swept(tmp_path).counts["complete"]

    def test_single_runs(self, typed: Typed, tmp_path: Path) -> None:
        """All that single runs have left is run in this process."""
        for seed in (0, 1):
            typed("beta=4", "latent_dim=2", f"seed={seed}", sweeps=False)
        study = swept(tmp_path)
        for slug in slugs(study):
            study.folder.trial(slug).result.unlink()

        GlobalHydra.instance().clear()
        assert Exit.COMPLETE == resume.run(argparse.Namespace(study=study.folder.root))
        assert 2 == swept(tmp_path).counts["complete"]

    def test_other_sources(self, tmp_path: Path) -> None:
        """They are named, and what to do."""
        study = make_study(tmp_path / "tested", code_version="x", sources={"bvae/train.py": "x"})

        with pytest.raises(ConfigError, match=r"bvae/train.py: changed"):
            resume.run(argparse.Namespace(study=study.folder.root))


class TestSweep:
    BASIC = ("hydra/launcher=basic", *GRID)

    def test_it_runs_what_is_missing(self, typed: Typed, tmp_path: Path) -> None:
        """The same command again runs nothing, a larger grid only the new trials."""
        code, said = typed(*self.BASIC)
        assert (0, 4) == (code, swept(tmp_path).counts["complete"]), said

        code, said = typed(*self.BASIC)
        assert "swept: 4 trials in runs/swept, 4 already done, 0 to run" in said

        code, said = typed("hydra/launcher=basic", "beta=1,4,16", "latent_dim=2", "seed=0")
        assert "swept: 5 trials in runs/swept, 4 already done, 1 to run" in said
        runs = tmp_path.glob("runs/swept/trials/*/runs.txt")
        assert [["ran"]] * 5 == [path.read_text().split() for path in runs]
        assert ["runs"] == os.listdir(tmp_path)  # noqa: PTH208 - names are all that counts

    def test_failed_trials_stay_failed_and_it_is_said(self, typed: Typed, tmp_path: Path) -> None:
        """With what to type to run them again; code 1 each time."""
        options = (
            *self.BASIC,
            "hydra.sweeper.max_attempts=1",
            "hydra.sweeper.trial=tests.doubles.fakes.failing",
        )
        first, _ = typed(*options)
        again, said = typed(*options)

        assert (1, 1) == (first, again)
        assert f"2 trials failed before; run again with: sweeps retry {tmp_path}/runs/swept" in said

    def test_a_dry_run_writes_nothing(
        self, typed: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It lists the trials and says how long they may take."""
        monkeypatch.setattr("bvae.step_time.step_time_s", lambda config: 0.01)
        code, said = typed(*self.BASIC, "hydra.sweeper.dry_run=true")

        assert 0 == code
        assert "  pending   beta=1 latent_dim=2 seed=0" in said
        assert "0 already done, 4 to run" in said
        assert "about 1:20 of training on 1 worker: 8000 steps" in said
        assert [] == list(tmp_path.iterdir())

    def test_a_study_may_be_called_anything(self, typed: Typed, tmp_path: Path) -> None:
        """Workers are told its folder in Hydra's grammar."""
        code, said = typed(*self.BASIC, "study='it\\'s mine'")

        assert 0 == code, said
        assert 4 == load_study(tmp_path / "runs" / "it's mine").counts["complete"]

    def test_params_are_swept_unless_typed(self, typed: Typed, tmp_path: Path) -> None:
        """As in Hydra's Optuna sweeper."""
        params = "+hydra.sweeper.params={beta: '1,2,4', seed: '0,1'}"
        typed("hydra/launcher=basic", "beta=8", "latent_dim=2", params)

        assert ["beta=8,latent_dim=2,seed=0", "beta=8,latent_dim=2,seed=1"] == (
            slugs(swept(tmp_path))
        )


MINE = """# @package _global_
defaults:
  - override /data: tiny
study: mine
optimizer:
  lr: ${oc.select:trainer.max_steps}
hydra:
  sweeper:
    max_attempts: ${oc.env:AN_ATTEMPT}
    params:
      beta: [1, 4]
      data.score_every: [[1, 1, 4, 4, 4], [1, 1, 8, 4, 4]]
"""


class TestOwnFiles:
    @pytest.fixture
    def mine(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A folder of files of one's own: an experiment, and data it names."""
        monkeypatch.setenv("AN_ATTEMPT", "2")
        for name, text in (
            ("experiment/mine", MINE),
            ("data/tiny", "defaults: [dsprites32]\nlikelihood: bernoulli\n"),
            ("tracker/quiet", "name: none\nmode: offline\nproject: p_${beta}\n"),
        ):
            (tmp_path / "my" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "my" / f"{name}.yaml").write_text(text)
        return tmp_path

    @pytest.mark.parametrize("folder", ["--config-dir=my", "hydra.searchpath=[file://my]"])
    def test_an_own_experiment_is_run_and_continued(
        self, typed: Typed, mine: Path, folder: str
    ) -> None:
        """By the same command; of another folder by the one that the manifest keeps."""
        arguments = ("experiment=mine", folder, "hydra/launcher=basic", "study=mine")
        code, said = typed(*arguments)
        study = load_study(mine / "runs" / "mine")
        assert (0, 4) == (code, study.counts["complete"]), said
        assert 2 == study.manifest.max_attempts

        assert "4 already done, 0 to run" in typed(*arguments)[1]
        (mine / "else").mkdir()
        os.chdir(mine / "else")
        assert Exit.COMPLETE == sweep.run([*study.manifest.arguments, f"runs_dir={mine}/runs"])
        assert [] == os.listdir()  # noqa: PTH208 - names are all that counts

    def test_an_own_name_may_be_swept(self, typed: Typed, mine: Path) -> None:
        """And what its file says of swept keys is each trial's own."""
        code, said = typed(
            *("--config-dir=my", "tracker=quiet", "data=tiny,dsprites32", "beta=1,4"),
            "hydra/launcher=basic",
        )

        assert 0 == code, said
        made = swept(mine)
        assert ["data"] == made.manifest.groups
        assert {"p_1", "p_4"} == {
            made.manifest.config_of(trial)["tracker"]["project"] for trial in made.trials
        }

    def test_a_misspelt_one_is_told_before_anything_starts(self, typed: Typed, mine: Path) -> None:
        """With the nearest, be it own or ours."""
        code, said = typed("--config-dir=my", "experiment=mien")

        assert 2 == code
        assert "error: experiment=mien: no such experiment; did you mean mine?" in said
        assert not (mine / "runs").exists()


@pytest.mark.parametrize("sweeps", [True, False])
def test_hydras_own_keys_may_be_named(typed: Typed, tmp_path: Path, sweeps: bool) -> None:
    """With -m as without it, each choice of a swept group its own."""
    grid = ("model=mlp,conv", "hydra/launcher=basic") if sweeps else ()
    project = "tracker.project='${hydra:runtime.choices.model}'"
    code, said = typed(project, *grid, sweeps=sweeps)

    assert 0 == code, said
    made = swept(tmp_path)
    assert ({"mlp", "conv"} if sweeps else {"mlp"}) == {
        made.manifest.config_of(trial)["tracker"]["project"] for trial in made.trials
    }


class TestRunOne:
    def test_one_trial(self, typed: Typed, tmp_path: Path) -> None:
        """A study of one trial, in this process."""
        code, said = typed("beta=4", "latent_dim=2", sweeps=False)

        assert 0 == code, said
        assert ["beta=4,latent_dim=2,seed=0"] == slugs(swept(tmp_path))

    def test_a_trial_beside_a_sweep(self, typed: Typed, tmp_path: Path) -> None:
        """The sweep goes on; keys that are for sweeps alone are refused."""
        typed(*TestSweep.BASIC)
        code, said = typed("beta=8", "latent_dim=2", sweeps=False)

        assert 0 == code, said
        grown = swept(tmp_path)
        assert 5 == grown.counts["complete"] == grown.counts["expected"]
        assert "beta=1,4" in grown.manifest.command

    @pytest.mark.parametrize(
        ("key", "named"),
        [
            ("hydra.sweeper.max_minutes=1", "hydra.sweeper.max_minutes"),
            ("+hydra.sweeper.params.beta='1,4'", "hydra.sweeper.params.beta"),
            ("hydra.sweeper.n_trials=9", "hydra.sweeper.n_trials"),
            ("hydra/sweeper/sampler=tpe", "hydra/sweeper/sampler"),
            ("hydra/launcher=joblib", "hydra/launcher"),
        ],
    )
    def test_what_is_for_sweeps_is_refused(
        self, typed: Typed, tmp_path: Path, key: str, named: str
    ) -> None:
        """With the command that was meant, perhaps."""
        code, said = typed("beta=4", key, sweeps=False)

        assert 2 == code
        assert f"error: {named}: for sweeps; without -m one trial is trained" in said
        assert "type: bvae -m " in said
        assert [] == list(tmp_path.iterdir())

    @pytest.mark.parametrize("given", [(), ("beta=4",), ("beta=4", "latent_dim=5", "seed=1")])
    def test_a_forgotten_m_is_said(
        self, typed: Typed, given: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Unless each key that the experiment sweeps has a value of its own."""
        monkeypatch.setattr("bvae.step_time.step_time_s", lambda config: 0.01)
        code, said = typed("experiment=quick", "hydra.sweeper.dry_run=true", *given, sweeps=False)

        assert 0 == code, said
        assert (len(given) < 3) == ("though experiment=quick sweeps " in said)
        assert (len(given) < 3) == ("type: bvae -m " in said)

    def test_a_dry_run(self, typed: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without -m, too."""
        monkeypatch.setattr("bvae.step_time.step_time_s", lambda config: 0.01)
        code, said = typed("beta=4", "hydra.sweeper.dry_run=true", sweeps=False)

        assert 0 == code
        assert "swept: 1 trial in runs/swept, 0 already done, 1 to run" in said
        assert [] == list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["basic", "joblib", "local"])
def test_every_launcher_runs_workers(tmp_path: Path, launcher: str, repository: Path) -> None:
    """What is launched is a worker loop; with two at once where the launcher can."""
    doubles = str(repository)
    command = [sys.executable, "-m", "bvae", "-m", *GRID, *FAKE, f"hydra/launcher={launcher}"]
    done = subprocess.run(
        [*command, "hydra.sweeper.n_workers=2"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": doubles},
        capture_output=True,
        text=True,
        check=False,
    )

    assert 0 == done.returncode, done.stderr
    assert "4 of 4 trials complete" in done.stderr
    manifest = json.loads((tmp_path / "runs" / "swept" / "manifest.json").read_text())
    assert "tests.doubles.fakes.instant" == manifest["trial"]
    assert Exit.COMPLETE == done.returncode


@pytest.mark.parametrize("name", NAMES)
def test_any_folder_and_any_name(
    typed: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A study of that name, in a folder of that name, is run, and extended from elsewhere."""
    words = [f"runs_dir=./{escaped(name)}", f"study={escaped(name)}"]
    words[1:] = [f"study={for_hydra(name)}"] if name == "null" else words[1:]
    code, said = typed("beta=1,4", "latent_dim=2", "hydra/launcher=basic", *words)

    assert 0 == code, said
    made = load_study(tmp_path / name / name)
    (tmp_path / "else").mkdir()
    monkeypatch.chdir(tmp_path / "else")
    printed = extend(made, {"beta": [1, 4, 16]})
    assert f"(cd {for_shell([str(tmp_path)])} && bvae " in printed  # where its own function is
    assert 0 == sweep.run(shlex.split(printed.partition(" && bvae ")[2].removesuffix(")")))
    assert 3 == load_study(made.folder.root).counts["complete"]
    assert {"else", name} == {path.name for path in tmp_path.iterdir()}
    assert [] == list((tmp_path / "else").iterdir())


@pytest.mark.slow
def test_real_workers_in_any_folder(tmp_path: Path, repository: Path) -> None:
    """Processes of submitit, which replaces %j in every path; no file is called by a pattern."""
    here = tmp_path / "β, [x] ${u} it's 100%j"
    here.mkdir()
    command = [sys.executable, "-m", "bvae", "-m", *GRID, *FAKE, "study=q"]
    environ = {**os.environ, "PYTHONPATH": str(repository)}
    done = subprocess.run(
        command, cwd=here, env=environ, capture_output=True, text=True, check=False
    )

    assert 0 == done.returncode, done.stderr
    assert load_study(here / "runs" / "q").left == 0
    assert not [path for path in here.rglob("*") if "%" in path.name]
