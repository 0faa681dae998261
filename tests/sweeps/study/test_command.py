"""Commands that a reader pastes into a shell."""

import shlex

import pytest

from sweeps.study.command import extend, reproduce, sweep
from sweeps.study.manifest import Manifest, SearchSettings
from sweeps.study.trials import Trial
from tests.doubles.studies import CONFIGURATION, manifest, trials

TRIAL = Trial.of({"beta": 0.5, "latent_dim": 10, "seed": 2})


def typed(text: str, **changes: object) -> Manifest:
    """Return the manifest of a study that was made by this command."""
    return manifest(trials(), name="quick", arguments=shlex.split(text)[1:], **changes)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bvae -m experiment=quick", "bvae experiment=quick"),
        ("bvae --multirun beta=1,4 seed=0,1 data=dsprites", "bvae data=dsprites"),
        ("bvae -m hydra.sweeper.n_workers=2 study=old model=conv", "bvae model=conv"),
        ("bvae -m ++beta=1,4 hydra/launcher=slurm extend=true lr=1", "bvae lr=1"),
    ],
)
def test_sweep_becomes_a_single_run(text: str, expected: str) -> None:
    """What makes it a sweep goes, the trial's own values come, in a study of its own."""
    again = reproduce(typed(text), TRIAL)
    added = ["beta=0.5", "latent_dim=10", "seed=2", "study=quick-again"]
    assert shlex.split(again) == [*expected.split(), *added]


def test_another_study_is_like_one_of_before_a_key_existed() -> None:
    """The key is typed with the value of then; the study itself needs no telling."""
    data = {key: value for key, value in CONFIGURATION["data"].items() if key != "holdout"}
    made = typed("bvae -m data=folder", compositions={"": CONFIGURATION | {"data": data}})
    values = {"beta": ["4"]}

    assert "data.holdout=0" in sweep(made, values)
    assert "data.holdout=0" in reproduce(made, TRIAL).split()
    assert "holdout" not in extend(made, values)
    assert "holdout" not in " ".join(sweep(typed("bvae -m data=folder"), values))


def test_hostile_values_stay_one_word() -> None:
    """A name with blanks, quotes and shell syntax reaches Hydra as one quoted value."""
    trial = Trial.of({"beta": 1, "latent_dim": 2, "seed": 0, "model": "it's $(rm -rf /)"})
    made = manifest(trials(), name="a b", arguments=["-m"])
    words = shlex.split(reproduce(made, trial))
    assert words[-2:] == ["model='it\\'s $(rm -rf /)'", "study='a b-again'"]


def test_extension_replaces_the_values_of_swept_keys() -> None:
    """The study's own command, for other values."""
    made = typed("bvae -m experiment=quick beta=1,4 trainer.max_steps=100")
    extended = extend(made, {"beta": ["16"], "seed": ["0", "1"]})
    assert extended == "bvae -m experiment=quick trainer.max_steps=100 beta=16 seed=0,1"


def test_extension_keeps_what_the_study_needs() -> None:
    """Where it runs, where its attempts are kept, what is pruned, what is typed below a group."""
    kept = (
        "hydra/launcher=slurm hydra.launcher.partition=gpu hydra.sweeper.pruner=median "
        "hydra.sweeper.storage=postgresql://db/sweeps data.likelihood=bernoulli"
    )
    extended = extend(typed(f"bvae {kept} beta=1 extend=true"), {"beta": ["16"], "data": ["x"]})
    assert extended == f"bvae -m {kept} beta=16 data=x"


def test_extension_of_a_search_is_a_grid() -> None:
    """What the experiment makes a search would choose other values than those that are asked."""
    made = typed("bvae -m experiment=tune", search=SearchSettings({}, [0], {}, n_trials=16))
    assert extend(made, {"beta": ["16"]}) == (
        "bvae -m experiment=tune beta=16 hydra.sweeper.n_trials=null hydra.sweeper.sampler=null"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bvae -m experiment=quick beta=1,4", "-m experiment=quick beta=8"),
        ("bvae --multirun beta=1,4 lr=1", "-m lr=1 beta=8"),
        ("bvae beta=4", "-m beta=8"),
        (
            "bvae -m hydra/launcher=basic hydra.sweeper.n_workers=2 +hydra.sweeper.params={a:1}",
            "-m hydra/launcher=basic hydra.sweeper.n_workers=2 beta=8",
        ),
        ("bvae -m hydra.sweeper.dry_run=true extend=true", "-m beta=8"),
        (
            "bvae -m hydra.sweeper.n_trials=9 hydra/sweeper/sampler=gp hydra.sweeper.params.seed=1",
            "-m beta=8",
        ),
        ("bvae -m hydra.sweeper.pruner=median hydra.sweeper.max_minutes=5", "-m beta=8"),
        ("bvae -m hydra.sweeper.until=resolved", "-m beta=8"),
    ],
)
def test_another_sweep_keeps_workers_and_launcher(text: str, expected: str) -> None:
    """But neither the grid nor the dry run."""
    assert sweep(typed(text), {"beta": ["8"]}) == expected.split()


def test_paths_need_no_quotes() -> None:
    """Hydra takes them as they are."""
    assert sweep(typed("bvae -m"), {"runs_dir": ["/tmp/a/runs"]}) == ["-m", "runs_dir=/tmp/a/runs"]
