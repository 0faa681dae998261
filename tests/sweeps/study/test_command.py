"""Commands that a reader pastes into a shell."""

import shlex

import pytest

from sweeps.study.command import extend, reproduce, sweep, without_multirun, words
from sweeps.study.trials import Trial

POINT = Trial.of({"beta": 0.5, "latent_dim": 10, "seed": 2})


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("bvae -m experiment=quick", "bvae experiment=quick"),
        ("python -m bvae -m experiment=quick", "python -m bvae experiment=quick"),
        ("bvae --multirun beta=1,4 seed=0,1 data=dsprites", "bvae data=dsprites"),
        ("bvae -m note=it's", "bvae note=it's"),
        ("bvae -m hydra.sweeper.n_workers=2 study=old model=conv", "bvae model=conv"),
        ("bvae -m ++beta=1,4 hydra/launcher=slurm extend=true lr=1", "bvae lr=1"),
    ],
)
def test_sweep_becomes_a_single_run(command: str, expected: str) -> None:
    """What makes it a sweep goes, the trial's own values come, in a study of its own."""
    again = reproduce(POINT, command=command, study="quick")
    added = ["beta=0.5", "latent_dim=10", "seed=2", "study=quick-again"]
    assert shlex.split(again) == [*expected.split(), *added]


def test_hostile_values_stay_one_word() -> None:
    """A name with blanks, quotes and shell syntax reaches Hydra as one quoted value."""
    trial = Trial.of({"beta": 1, "latent_dim": 2, "seed": 0, "model": "it's $(rm -rf /)"})
    words = shlex.split(reproduce(trial, command="bvae -m", study="a b"))
    assert words[-2:] == ["model='it\\'s $(rm -rf /)'", "study='a b-again'"]


def test_extension_replaces_the_values_of_swept_keys() -> None:
    """The study's own command, for other values."""
    command = "bvae -m experiment=quick beta=1,4 trainer.max_steps=100"
    extended = extend(command, values={"beta": ["16"], "seed": ["0", "1"]})
    assert extended == "bvae -m experiment=quick trainer.max_steps=100 beta=16 seed=0,1"


def test_extension_keeps_what_the_study_needs() -> None:
    """Where it runs, where its attempts are kept, what is pruned, what is typed below a group."""
    kept = (
        "hydra/launcher=slurm hydra.launcher.partition=gpu hydra.sweeper.pruner=median "
        "hydra.sweeper.storage=postgresql://db/sweeps data.likelihood=bernoulli"
    )
    extended = extend(f"bvae {kept} beta=1 extend=true", values={"beta": ["16"], "data": ["x"]})
    assert extended == f"bvae -m {kept} beta=16 data=x"


def test_only_the_multirun_flag_is_dropped() -> None:
    """Python's own -m is not Hydra's."""
    words = ["python", "-m", "bvae", "-m", "beta=1"]
    assert without_multirun(words) == ["python", "-m", "bvae", "beta=1"]


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("bvae -m experiment=quick beta=1,4", "bvae -m experiment=quick beta=8"),
        ("python -m bvae --multirun beta=1,4 lr=1", "python -m bvae -m lr=1 beta=8"),
        ("bvae beta=4", "bvae -m beta=8"),
        (
            "bvae -m hydra/launcher=basic hydra.sweeper.n_workers=2 +hydra.sweeper.params={a:1}",
            "bvae -m hydra/launcher=basic hydra.sweeper.n_workers=2 beta=8",
        ),
        ("bvae -m hydra.sweeper.dry_run=true extend=true", "bvae -m beta=8"),
        (
            "bvae -m hydra.sweeper.n_trials=9 hydra/sweeper/sampler=gp hydra.sweeper.params.seed=1",
            "bvae -m beta=8",
        ),
        ("bvae -m hydra.sweeper.pruner=median hydra.sweeper.max_minutes=5", "bvae -m beta=8"),
    ],
)
def test_another_sweep_keeps_workers_and_launcher(command: str, expected: str) -> None:
    """But neither the grid nor the dry run."""
    assert sweep(command, values={"beta": ["8"]}) == expected


def test_paths_need_no_quotes() -> None:
    """Hydra takes them as they are."""
    found = sweep("bvae -m", values={"runs_dir": ["/tmp/a/runs"]})
    assert found == "bvae -m runs_dir=/tmp/a/runs"
    assert words(found) == ["-m", "runs_dir=/tmp/a/runs"]
