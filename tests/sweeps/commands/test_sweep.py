import argparse
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from omegaconf import OmegaConf

from bvae import config
from bvae.exceptions import ConfigError
from bvae.machine import Machine
from sweeps import load_study
from sweeps.commands import hydra_app, resume
from sweeps.commands.sweep import Sweep
from sweeps.plan.plan import unfinished
from sweeps.plan.settings import SweepSettings
from sweeps.queue.queue import Queue
from sweeps.study.command import extend, sweeps
from sweeps.study.heartbeat import WorkerRegistry
from sweeps.study.quoting import escaped, for_hydra, for_shell
from sweeps.study.study import Study
from sweeps.workers.exit_codes import Exit
from sweeps.workers.worker import WorkerLoop
from tests.doubles.names import OF_EACH_KIND
from tests.doubles.studies import CONFIGURATION, make_study, slugs

Typed = Callable[..., tuple[int, str]]
FAKE = ("hydra.sweeper.trial=tests.doubles.fakes.instant", "tracker=none", "study=swept")
GRID = ("beta=1,4", "latent_dim=2", "seed=0,1")


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


def swept(tmp_path: Path) -> Study:
    """Return the study that was swept."""
    return load_study(tmp_path / "runs" / "swept")


class TestResume:
    def test_from_any_folder(
        self, enter: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What is unfinished is run, what was dropped stays away; again, nothing is run."""
        enter("hydra/launcher=basic", *GRID, "hydra.sweeper.max_minutes=5")
        study = swept(tmp_path)
        Queue(study).drop(slugs(study)[:1], WorkerRegistry(study.folder.workers))
        study.folder.trial(slugs(study)[1]).result.unlink()
        monkeypatch.chdir("/")

        for _ in range(2):
            GlobalHydra.instance().clear()
            assert Exit.COMPLETE == resume.run(argparse.Namespace(study=study.folder.root))
            assert [*slugs(study)[1:]] == slugs(swept(tmp_path))
            assert 3 == swept(tmp_path).counts["complete"]

    def test_workers_are_as_many_as_the_machine_has_room_for(
        self, enter: Typed, tmp_path: Path
    ) -> None:
        """As the command that began the study did, by the trial with the most latents."""
        enter("hydra/launcher=basic", "beta=1", "latent_dim=2,3", "seed=0")
        study = swept(tmp_path)

        assert [3] == [one.latent_dim for one in unfinished(study).largest]  # nothing is left
        study.folder.trial(slugs(study)[0]).result.unlink()
        assert [2] == [one.latent_dim for one in unfinished(swept(tmp_path)).largest]

    def test_single_runs(self, enter: Typed, tmp_path: Path) -> None:
        """All that single runs have left is run in this process."""
        for seed in (0, 1):
            enter("beta=4", "latent_dim=2", f"seed={seed}", sweeps=False)
        study = swept(tmp_path)
        for slug in slugs(study):
            study.folder.trial(slug).result.unlink()

        GlobalHydra.instance().clear()
        assert Exit.COMPLETE == resume.run(argparse.Namespace(study=study.folder.root))
        assert 2 == swept(tmp_path).counts["complete"]

    def test_other_sources(
        self, enter: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """They are named, and the command that accepts them finishes the study, in any folder."""
        enter("hydra/launcher=basic", *GRID)
        study = swept(tmp_path)
        sources = study.manifest.sources | {"bvae/train.py": "x"}
        replace(study.manifest, sources=sources).write(study.folder.manifest)
        study.folder.trial(slugs(study)[1]).result.unlink()
        monkeypatch.chdir("/")

        GlobalHydra.instance().clear()
        with pytest.raises(ConfigError, match=r"bvae/train.py: changed") as raised:
            resume.run(argparse.Namespace(study=study.folder.root))
        printed = str(raised.value).rpartition(" && bvae ")[2].removesuffix(")")
        GlobalHydra.instance().clear()
        assert Exit.COMPLETE == hydra_app.run(shlex.split(printed)).code
        assert 4 == swept(tmp_path).counts["complete"]


class TestSweep:
    BASIC = ("hydra/launcher=basic", *GRID)

    def test_it_runs_what_is_missing(self, enter: Typed, tmp_path: Path) -> None:
        """The same command again runs nothing, a larger grid only the new trials."""
        code, said = enter(*self.BASIC)
        assert (0, 4) == (code, swept(tmp_path).counts["complete"]), said

        code, said = enter(*self.BASIC)
        assert "swept: 4 trials in runs/swept, 4 already done, 0 to run" in said

        code, said = enter("hydra/launcher=basic", "beta=1,4,16", "latent_dim=2", "seed=0")
        assert "swept: 5 trials in runs/swept, 4 already done, 1 to run" in said
        runs = tmp_path.glob("runs/swept/trials/*/runs.txt")
        assert [["ran"]] * 5 == [path.read_text().split() for path in runs]
        assert ["runs"] == os.listdir(tmp_path)  # noqa: PTH208 - names are all that counts

    def test_failed_trials_stay_failed_and_it_is_said(self, enter: Typed, tmp_path: Path) -> None:
        """With what to type to run them again; code 1 each time."""
        options = (
            *self.BASIC,
            "hydra.sweeper.max_attempts=1",
            "hydra.sweeper.trial=tests.doubles.fakes.failing",
        )
        first, _ = enter(*options)
        again, said = enter(*options)

        assert (1, 1) == (first, again)
        assert f"failed before; run again with: {sweeps('retry', tmp_path / 'runs/swept')}" in said

    def test_a_dry_run_writes_nothing(
        self, enter: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It lists the trials and says how long they may take."""
        monkeypatch.setattr("bvae.step_time.step_time_s", lambda config: 0.01)
        code, said = enter(*self.BASIC, "hydra.sweeper.dry_run=true")

        assert 0 == code
        assert "  pending   beta=1 latent_dim=2 seed=0" in said
        assert "0 already done, 4 to run" in said
        assert "about 1:20 of training on 1 worker: 8000 steps" in said
        assert [] == list(tmp_path.iterdir())

    def test_a_study_may_be_called_anything(self, enter: Typed, tmp_path: Path) -> None:
        """Workers are told its folder in Hydra's grammar."""
        code, said = enter(*self.BASIC, "study='it\\'s mine'")

        assert 0 == code, said
        assert 4 == load_study(tmp_path / "runs" / "it's mine").counts["complete"]

    def test_params_are_swept_unless_typed(self, enter: Typed, tmp_path: Path) -> None:
        """As in Hydra's Optuna sweeper."""
        params = "+hydra.sweeper.params={beta: '1,2,4', seed: '0,1'}"
        enter("hydra/launcher=basic", "beta=8", "latent_dim=2", params)

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
        self, enter: Typed, mine: Path, folder: str
    ) -> None:
        """By the same command; of another folder by the one that the manifest keeps."""
        arguments = ("experiment=mine", folder, "hydra/launcher=basic", "study=mine")
        code, said = enter(*arguments)
        study = load_study(mine / "runs" / "mine")
        assert (0, 4) == (code, study.counts["complete"]), said
        assert 2 == study.manifest.max_attempts

        assert "4 already done, 0 to run" in enter(*arguments)[1]
        (mine / "else").mkdir()
        os.chdir(mine / "else")
        assert (
            Exit.COMPLETE
            == hydra_app.run([*study.manifest.arguments, f"runs_dir={mine}/runs"]).code
        )
        assert [] == os.listdir()  # noqa: PTH208 - names are all that counts

    def test_an_own_name_may_be_swept(self, enter: Typed, mine: Path) -> None:
        """And what its file says of swept keys is each trial's own."""
        code, said = enter(
            *("--config-dir=my", "tracker=quiet", "data=tiny,dsprites32", "beta=1,4"),
            "hydra/launcher=basic",
        )

        assert 0 == code, said
        made = swept(mine)
        assert ["data"] == made.manifest.groups
        assert {"p_1", "p_4"} == {
            made.manifest.config_of(trial)["tracker"]["project"] for trial in made.trials
        }

    def test_a_misspelt_one_is_told_before_anything_starts(self, enter: Typed, mine: Path) -> None:
        """With the nearest, be it own or ours."""
        code, said = enter("--config-dir=my", "experiment=mien")

        assert 2 == code
        assert "error: experiment=mien: no such experiment; did you mean mine?" in said
        assert not (mine / "runs").exists()


@pytest.mark.parametrize("sweeps", [True, False])
def test_hydras_own_keys_may_be_named(enter: Typed, tmp_path: Path, sweeps: bool) -> None:
    """With -m as without it, each choice of a swept group its own."""
    grid = ("model=mlp,conv", "hydra/launcher=basic") if sweeps else ()
    project = "tracker.project='${hydra:runtime.choices.model}'"
    code, said = enter(project, *grid, sweeps=sweeps)

    assert 0 == code, said
    made = swept(tmp_path)
    assert ({"mlp", "conv"} if sweeps else {"mlp"}) == {
        made.manifest.config_of(trial)["tracker"]["project"] for trial in made.trials
    }


class TestRunOne:
    def test_one_trial(self, enter: Typed, tmp_path: Path) -> None:
        """A study of one trial, in this process."""
        code, said = enter("beta=4", "latent_dim=2", sweeps=False)

        assert 0 == code, said
        assert ["beta=4,latent_dim=2,seed=0"] == slugs(swept(tmp_path))

    def test_a_trial_beside_a_sweep(self, enter: Typed, tmp_path: Path) -> None:
        """The sweep goes on; keys that are for sweeps alone are refused."""
        enter(*TestSweep.BASIC)
        code, said = enter("beta=8", "latent_dim=2", sweeps=False)

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
            ("hydra.sweeper={max_minutes: 1}", "hydra.sweeper.max_minutes"),
        ],
    )
    def test_what_is_for_sweeps_is_refused(
        self, enter: Typed, tmp_path: Path, key: str, named: str
    ) -> None:
        """With the command that was meant, perhaps."""
        code, said = enter("beta=4", key, sweeps=False)

        assert 2 == code
        assert f"error: {named}: for sweeps; without -m one trial is trained" in said
        assert "type: bvae -m " in said
        assert [] == list(tmp_path.iterdir())

    @pytest.mark.parametrize("typed", ["beta=1,4", "seed=range(3)", "beta=interval(1,4)"])
    def test_several_values_are_a_sweep(self, enter: Typed, tmp_path: Path, typed: str) -> None:
        """With the command that does it."""
        code, said = enter(typed, sweeps=False)

        assert 2 == code
        assert f"error: {typed}: several values are for a sweep; type: bvae -m " in said
        assert [] == list(tmp_path.iterdir())

    def test_what_an_interpolation_lacks_is_said(self, enter: Typed, tmp_path: Path) -> None:
        """As of a sweep: a mistake in the command, not a bug."""
        code, said = enter("tracker.notes=${nothing}", sweeps=False)

        assert 2 == code
        assert "error: tracker.notes: cannot be resolved" in said
        assert [] == list(tmp_path.iterdir())

    @pytest.mark.parametrize("given", [(), ("beta=4",), ("beta=4", "latent_dim=5", "seed=1")])
    def test_a_forgotten_m_is_said(
        self, enter: Typed, given: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Unless each key that the experiment sweeps has a value of its own."""
        monkeypatch.setattr("bvae.step_time.step_time_s", lambda config: 0.01)
        code, said = enter("experiment=quick", "hydra.sweeper.dry_run=true", *given, sweeps=False)

        assert 0 == code, said
        assert (len(given) < 3) == ("though experiment=quick sweeps " in said)
        assert (len(given) < 3) == ("type: bvae -m " in said)

    def test_a_dry_run(self, enter: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without -m, too."""
        monkeypatch.setattr("bvae.step_time.step_time_s", lambda config: 0.01)
        code, said = enter("beta=4", "hydra.sweeper.dry_run=true", sweeps=False)

        assert 0 == code
        assert "swept: 1 trial in runs/swept, 0 already done, 1 to run" in said
        assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("name", OF_EACH_KIND)
def test_any_folder_and_any_name(
    enter: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A study of that name, in a folder of that name, is run, and extended from elsewhere."""
    words = [f"runs_dir=./{escaped(name)}", f"study={escaped(name)}"]
    words[1:] = [f"study={for_hydra(name)}"] if name == "null" else words[1:]
    code, said = enter("beta=1,4", "latent_dim=2", "hydra/launcher=basic", *words)

    assert 0 == code, said
    made = load_study(tmp_path / name / name)
    (tmp_path / "else").mkdir()
    monkeypatch.chdir(tmp_path / "else")
    printed = extend(made, {"beta": [1, 4, 16]})
    assert f"(cd {for_shell([str(tmp_path)])} && bvae " in printed  # where its own function is
    assert 0 == hydra_app.run(shlex.split(printed.partition(" && bvae ")[2].removesuffix(")"))).code
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
