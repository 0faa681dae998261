"""The application as it is typed: mistakes, one run, a sweep."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from tests.doubles.typed import type_in

SMALL = (
    "trainer.max_steps=6",
    "trainer.batch_size=16",
    "trainer.val_every_n_steps=3",
    "data.score_every=[1,3,8,4,4]",
    "tracker=none",
)

FAKE = ("hydra.sweeper.trial=tests.doubles.fakes.instant", "tracker=none")

Typed = Callable[..., tuple[int, str]]


@pytest.fixture
def bvae(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Typed:
    """Type a command in this process, in a folder of its own; returns exit code and messages."""

    def bvae(*arguments: str) -> tuple[int, str]:
        monkeypatch.chdir(tmp_path)
        return type_in("bvae", *arguments), capsys.readouterr().err

    return bvae


class TestMistakes:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["betta=4"], "betta: no such key; did you mean beta?"),
            (
                ["optimizer.lrr=1"],
                "optimizer: torch.optim.Adam: got an unexpected keyword argument 'lrr'",
            ),
            (["experiment=quik"], "experiment=quik: no such experiment; did you mean quick?"),
            (["model=mpl"], "model=mpl: no such model; did you mean mlp?"),
            (["model.name=mpl"], "model.name: expected one of"),
            (["data=dsprites23"], "data=dsprites23: no such data; did you mean dsprites32?"),
            (["latent_dim=ten"], "latent_dim: expected an integer of at least 1, but got 'ten'"),
            (["beta=0"], "beta: expected a finite number above 0, at most 1e+30, but got 0"),
            (["beta=-1"], "beta: expected a finite number above 0, at most 1e+30, but got -1"),
            (
                ["beta=1e308"],
                "beta: expected a finite number above 0, at most 1e+30, but got 1e+308",
            ),
            (["beta=inf"], "beta: expected a finite number above 0, at most 1e+30, but got inf"),
            (["beta=nan"], "beta: expected a finite number above 0, at most 1e+30, but got nan"),
            (["latent_dim=0"], "latent_dim: expected an integer of at least 1, but got 0"),
            (["beta="], "beta: an empty value"),
            (["-m", "beta=1,,4"], "beta=1,,4: not an override"),
            (
                ["-m", "beta=1,-4"],
                "beta: expected a finite number above 0, at most 1e+30, but got -4",
            ),
            (["-m", "hydra.sweeper.n_wrkers=3"], "n_wrkers"),
            (["-m", "hydra.sweeper.n_workers=0"], "n_workers: expected an integer of at least 1"),
            (["beta=1,4"], "type: bvae -m beta=1,4"),
            (["+new=1"], "+new=1: keys are neither added nor removed"),
            (["objective=migg"], "objective=migg: not a score of protocol fast; did you mean mig?"),
            (["protocol=slow"], "protocol=slow: no such protocol"),
            (["data.score_every=[1,2]"], "data.score_every: expected a step for each factor"),
            (["trainer.batch_size=200000"], "trainer.batch_size: expected at most the 184320"),
            (["data=dsprites_npz"], "data.path: "),
            (["data=dsprites_npz", "path=nowhere.npz"], "no such file: nowhere.npz"),
            (
                ["checkpoint.keep=none", "checkpoint.keep_trials=1"],
                "checkpoint.keep_trials: checkpo",
            ),
            (["tracker.project=a/b"], "tracker.project: W&B takes up to 128 characters and none"),
            (["tracker.project=" + 129 * "x"], "tracker.project: W&B takes up to 128"),
            (["trainer.accelerator=mps"], "trainer.accelerator=mps: is for Macs"),
            (["threads=100000"], "threads=100000: expected at most"),
            (["latent_dim=1000000000"], "latent_dim=1000000000, trainer.batch_size=128: a trial"),
            (["latent_dim=99999999999999999999"], "of memory, but"),
            (["hydra.sweeper.trial=foo"], "hydra.sweeper.trial=foo: expected the dotted name"),
            (["-m", "hydra.sweeper.trial=os.sep"], "hydra.sweeper.trial=os.sep: expected the"),
            (["study=a/b"], "study: expected the name of a folder, but got 'a/b'"),
            (["study=" + 201 * "a"], "study: expected a name of at most 200 bytes"),
            (["study=" + 256 * "a"], "too long for a file system"),
            (["runs_dir=" + "/".join(20 * [200 * "b"])], "too long for a file system"),
            (["runs_dir='~no-such-account/x'"], "runs_dir: no folder can be ~no-such-account/x"),
            (["-m", "beta=range(4,1)"], "beta=range(4,1): has no value"),
            (["-m", "beta=range(1,4,0)"], "beta=range(1,4,0): range() arg 3 must not be zero"),
            (["-m", "beta=interval(1,8),16"], "an interval stands alone"),
            (["-m", "seed=range(2000000000)"], "more than 100000 values"),
            (["-m", "seed=range(400)", "beta=range(1,400)"], "159600 trials: a grid may have"),
            (["model=null"], "model=null: leave it out, or choose one"),
            (["data.resolution=64"], "data.resolution: what is chosen for data has no such key"),
            (["+foo=1"], "+foo=1: keys are neither added nor removed; known: "),
            ([""], "'': not an override"),
            (["quick"], "did you mean experiment=quick?"),
            (["trainer.max_steps=1.5"], "expected an integer of at least 1, but got 1.5"),
            (["hydra/sweeper=basic"], "it has a sweeper of its own"),
            (["hydra.run.dir=foo"], "a study is in a folder of its own"),
            (["hydra.job.chdir=true"], "every file has its place in the study's folder"),
            (["--experimental-rerun", "x"], "type the same command again"),
            (["--shell-completion", "query=bash"], "query is for the shell"),
        ],
    )
    def test_mistake_is_told_and_nothing_is_written(
        self, bvae: Typed, tmp_path: Path, arguments: list[str], message: str
    ) -> None:
        """A mistake ends with exit code 2 and one clear message, before anything is written."""
        code, said = bvae(*arguments)

        assert 2 == code, said
        assert message in said
        assert said.startswith("error: ")
        assert "Traceback" not in said
        assert [] == list(tmp_path.iterdir())

    def test_all_mistakes_at_once(self, bvae: Typed) -> None:
        """Several mistakes are told together."""
        _, said = bvae("betta=4", "latent_dim=0", "model=mpl")

        assert 3 == said.count("error: ")

    def test_wrong_file_is_refused(self, bvae: Typed, tmp_path: Path) -> None:
        """A file that is not the official npz is refused before a study is made."""
        (tmp_path / "fake.npz").write_bytes(b"PK")
        code, said = bvae("data=dsprites_npz", "data.path=fake.npz")

        assert 2 == code
        assert "7da33b31b13a06f4b04a70402ce90c2e" in said
        assert not (tmp_path / "runs").exists()

    def test_unwritable_folder_is_refused(self, bvae: Typed, tmp_path: Path) -> None:
        """A runs_dir that cannot hold a study is refused."""
        (tmp_path / "file").write_text("")
        code, said = bvae("runs_dir=file")

        assert 2 == code
        assert "is a file; give a folder" in said


class TestOneRun:
    def test_it_trains_scores_and_reports(self, bvae: Typed, tmp_path: Path) -> None:
        """`bvae beta=4 latent_dim=3` leaves a study of one complete point, and a report."""
        code, said = bvae("beta=4", "latent_dim=3", "study=one", *SMALL)
        study = tmp_path / "runs" / "one"
        result = json.loads((study / "trials/beta=4,latent_dim=3,seed=0/result.json").read_text())

        assert 0 == code, said
        assert ("complete", {"beta": 4, "latent_dim": 3, "seed": 0}) == (
            result["state"],
            result["point"],
        )
        for name in ("manifest.json", "base.yaml", "study.journal", "trials.csv"):
            assert (study / name).stat().st_size > 0
        assert (study / "report" / "index.html").exists()
        assert {"runs"} == {path.name for path in tmp_path.iterdir()}
        assert "1 of 1 trials complete" in said

    def test_typed_again_it_runs_nothing(self, bvae: Typed, tmp_path: Path) -> None:
        """The same point, typed in another way, is recognised as done."""
        bvae("beta=4", "latent_dim=2", "study=one", *FAKE)
        path = tmp_path / "runs/one/trials/beta=4,latent_dim=2,seed=0/result.json"
        before = path.stat().st_mtime_ns
        code, said = bvae("beta=4e0", "latent_dim=2", "study=one", *FAKE)

        assert 0 == code
        assert "1 already done" in said
        assert before == path.stat().st_mtime_ns

    def test_another_base_is_refused_with_the_differences(self, bvae: Typed) -> None:
        """Another configuration under the same name is refused, naming the keys that differ."""
        bvae("latent_dim=2", "study=one", *FAKE)
        code, said = bvae("latent_dim=2", "study=one", *FAKE, "optimizer.lr=3e-4")

        assert 2 == code
        assert "optimizer.lr: 0.001 in the study, 0.0003 now" in said
        assert "study=…" in said

    def test_diverging_trial_fails_with_code_1(self, bvae: Typed) -> None:
        """A trial whose loss becomes NaN is failed, said, and the exit code is 1."""
        code, said = bvae("latent_dim=2", "study=one", *SMALL, "optimizer.lr=1e9")

        assert 1 == code
        assert "1 failed" in said
        assert "NonFiniteLossError" in said


@pytest.mark.slow
def test_each_trial_is_trained_with_what_depends_on_its_values(bvae: Typed, tmp_path: Path) -> None:
    """`optimizer.lr=${beta}` is the trial's own β, not the default one; so are texts."""
    code, said = bvae(
        *("-m", "beta=0.001,0.002", "latent_dim=2", "study=swept", "hydra/launcher=basic"),
        *("optimizer.lr=${beta}", "trainer.log_every_n_steps=${trainer.val_every_n_steps}"),
        *(*SMALL, "tracker.project='a_${beta}'"),
    )
    configs = map(OmegaConf.load, (tmp_path / "runs" / "swept").glob("trials/*/config.yaml"))

    assert 0 == code, said
    assert [(0.001, 3, "a_0.001"), (0.002, 3, "a_0.002")] == sorted(
        (one.optimizer.lr, one.trainer.log_every_n_steps, one.tracker.project) for one in configs
    )


@pytest.mark.slow
def test_sweep_end_to_end(tmp_path: Path) -> None:
    """A real sweep through submitit: every point once, a curve; typed again, nothing to do.

    Modules that happen to lie where it is typed are not imported in place of others.
    """
    shadows = {"random.py", "torch.py", "statistics.py"}
    for name in shadows:
        (tmp_path / name).write_text("raise SystemExit(__file__)")
    command = [
        *(sys.executable, "-m", "bvae", "-m"),
        *("beta=1,16", "latent_dim=2", "seed=0,1", "study=swept", "hydra.sweeper.n_workers=2"),
        *SMALL,
    ]
    first = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    study = tmp_path / "runs" / "swept"
    curve = (study / "report" / "curve.csv").read_text()
    stamps = {path: path.stat().st_mtime_ns for path in study.glob("trials/*/result.json")}
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert 0 == first.returncode, first.stderr
    assert "4 of 4 trials complete" in first.stderr
    assert 4 == len(stamps)
    assert curve.startswith(
        "latent_dim,beta,beta_norm,score,mean,low,high,n,protocol,n_failed,n_pruned,active_latents\n"
    )
    assert 0 == again.returncode, again.stderr
    assert "4 already done, 0 to run" in again.stderr
    assert stamps == {path: path.stat().st_mtime_ns for path in stamps}
    assert {"runs", *shadows} == {path.name for path in tmp_path.iterdir()}


class TestWhatHydraShows:
    @pytest.mark.parametrize("sweeps", [(), ("-m",)])
    @pytest.mark.parametrize(
        ("arguments", "shown"),
        [
            (["--cfg", "job"], "latent_dim: 10"),
            (["--cfg", "job", "--resolve", "--package", "optimizer"], "lr: 0.001"),
            (["--cfg", "hydra", "--resolve"], "max_deaths: 10"),
            (["--cfg", "all", "beta=2"], "beta: 2"),
            (["--help"], "max_minutes=null "),
            (["--hydra-help"], "--config-dir"),
            (["--version"], "bvae-sweeps"),
        ],
    )
    def test_it_is_printed(
        self,
        capsys: pytest.CaptureFixture[str],
        arguments: list[str],
        shown: str,
        sweeps: tuple[str, ...],
    ) -> None:
        """With and without -m, nothing is run, and the code is 0."""
        assert 0 == type_in("bvae", *sweeps, *arguments)

        printed = capsys.readouterr()
        assert "" == printed.err
        assert shown in printed.out

    def test_what_hydra_knows(self) -> None:
        """`--info`, which changes how Hydra logs, goes with -m, too."""
        command = [sys.executable, "-m", "bvae", "-m", "--info", "searchpath"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)

        assert (0, "") == (done.returncode, done.stderr)
        assert "conf" in done.stdout

    @pytest.mark.parametrize(
        "arguments", [["--cfg", "job", "--package", "nowhere"], ["--shell-completion"]]
    )
    def test_what_cannot_be_shown_is_a_mistake(self, bvae: Typed, arguments: list[str]) -> None:
        """Code 2, with Hydra's sentence."""
        code, said = bvae(*arguments)

        assert 2 == code
        assert "Traceback" not in said
        assert said


@pytest.mark.slow
def test_foreign_sweeps_package_is_named(tmp_path: Path) -> None:
    """Another package named sweeps, found first, is said clearly at start-up."""
    (tmp_path / "sweeps").mkdir()
    (tmp_path / "sweeps" / "__init__.py").write_text("")
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "bvae", "--help"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert 1 == done.returncode
    assert "another package named 'sweeps'" in done.stderr
