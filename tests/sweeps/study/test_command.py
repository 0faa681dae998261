"""Commands that a reader pastes into a shell."""

import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from bvae import config
from sweeps.study.command import HELD_OUT, extend, reproduce, sweep, with_seeds
from sweeps.study.folder import StudyFolder
from sweeps.study.manifest import SearchSettings
from sweeps.study.study import Study
from sweeps.study.trials import Trial
from sweeps.study.trials import grid as trials_of
from tests.doubles.studies import CONFIGURATION, manifest, trials

TRIAL = Trial.of({"beta": 0.5, "latent_dim": 10, "seed": 2})


def typed(text: str, **changes: object) -> Study:
    """Return a study that was made by this command."""
    made = manifest(trials(), name="quick", arguments=shlex.split(text)[1:], **changes)
    return Study(StudyFolder(Path("/me/runs/quick")), made)


PLACE = ["study=quick", "runs_dir=/me/runs"]


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
    added = ["beta=0.5", "latent_dim=10", "seed=2", "study=quick-again", "runs_dir=/me/runs"]
    assert shlex.split(again) == [*expected.split(), *added]


def test_another_study_is_like_one_of_before_a_key_existed() -> None:
    """The key is typed with the value of then; the study itself needs no telling."""
    data = {key: value for key, value in CONFIGURATION["data"].items() if key != "holdout"}
    made = typed(
        "bvae -m data=folder", data="folder", compositions={"": CONFIGURATION | {"data": data}}
    )
    values = {"beta": [4]}

    assert "data.holdout=0" in sweep(made, values)
    assert "data.holdout=0" in reproduce(made, TRIAL).split()
    assert "holdout" not in extend(made, values)
    assert "holdout" not in " ".join(sweep(typed("bvae -m data=folder", data="folder"), values))


def test_nothing_is_said_of_then_where_it_is_the_same_today() -> None:
    """A key whose default never changed for the data is left out; `HELD_OUT` are those of conf/."""
    data = {key: value for key, value in CONFIGURATION["data"].items() if key != "holdout"}
    made = typed("bvae -m", compositions={"": CONFIGURATION | {"data": data}})
    files = (config.directory() / "data").glob("*.yaml")
    held_out = {file.stem for file in files if "\nholdout: 0 " not in file.read_text()}

    assert "holdout" not in reproduce(made, TRIAL)
    assert held_out == HELD_OUT


def test_hostile_values_stay_one_word() -> None:
    """A name with blanks, quotes and shell syntax reaches Hydra as one quoted value."""
    trial = Trial.of({"beta": 1, "latent_dim": 2, "seed": 0, "model": "it's $(rm -rf /)"})
    made = Study(StudyFolder(Path("/me/my ${runs}/a b")), typed("bvae -m").manifest)
    words = shlex.split(reproduce(made, trial))
    assert words[-3:] == [
        'model="it\'s $(rm -rf /)"',
        'study="a b-again"',
        'runs_dir="/me/my \\${runs}"',
    ]


def test_values_that_only_look_like_numbers_are_quoted() -> None:
    """A text stays a text."""
    assert 'loss.note="1e5","null",a' in sweep(
        typed("bvae -m"), {"loss.note": ["1e5", "null", "a"]}
    )


def test_extension_replaces_the_values_of_swept_keys() -> None:
    """The study's own command, for other values."""
    made = typed("bvae -m experiment=quick beta=1,4 trainer.max_steps=100")
    extended = extend(made, {"beta": [16], "seed": [0, 1]})
    assert shlex.split(extended) == [
        *["bvae", "-m", "experiment=quick", "trainer.max_steps=100", "beta=16", "seed=0,1"],
        *PLACE,
    ]


def test_extension_keeps_what_the_study_needs() -> None:
    """Where it runs, where its attempts are kept, what is pruned, what is typed below a group."""
    kept = (
        "hydra/launcher=slurm hydra.launcher.partition=gpu hydra.sweeper.pruner=median "
        "hydra.sweeper.storage=postgresql://db/sweeps data.likelihood=bernoulli"
    )
    extended = extend(typed(f"bvae {kept} beta=1 extend=true"), {"beta": [16], "data": ["x"]})
    assert shlex.split(extended) == [*f"bvae -m {kept} beta=16 data=x".split(), *PLACE]


def test_seeds_are_for_every_configuration() -> None:
    """Also where the last command named one of them, as `sweeps best` advises."""
    grid = {"beta": [1, 4], "latent_dim": [5, 10], "seed": [0]}
    one_grid = [trial.values for trial in trials_of(grid)[0]]
    another_beta = [{"beta": 16, "latent_dim": 10, "seed": 0}]
    place = shlex.join(PLACE)
    by_experiment = replace(typed("bvae -m experiment=quick").manifest, trials=one_grid)
    typed_out = replace(typed("bvae -m beta=4 seed=0").manifest, trials=one_grid)
    more = replace(
        typed("bvae -m beta=16 latent_dim=10 seed=0").manifest, trials=one_grid + another_beta
    )
    folder = StudyFolder(Path("/me/runs/quick"))

    assert [
        f"bvae -m experiment=quick seed=0,1 {place}",
        f"bvae -m beta=1,4 seed=0,1 {place}",
        f"bvae -m beta=1,4 latent_dim=5 seed=0,1 {place} && "
        f"bvae -m beta=1,4,16 latent_dim=10 seed=0,1 {place}",
    ] == [with_seeds(Study(folder, one), [0, 1]) for one in (by_experiment, typed_out, more)]


def test_extension_of_a_search_is_a_grid() -> None:
    """What the experiment makes a search would choose other values than those that are asked."""
    made = typed("bvae -m experiment=tune", search=SearchSettings({}, [0], {}, n_trials=16))
    grid = ["hydra.sweeper.n_trials=null", "hydra.sweeper.sampler=null"]
    assert shlex.split(extend(made, {"beta": [16]})) == [
        *["bvae", "-m", "experiment=tune", "beta=16"],
        *PLACE,
        *grid,
    ]


def test_a_study_is_extended_from_anywhere() -> None:
    """Its folder and its images are absolute, however they were typed."""
    data = CONFIGURATION["data"] | {"path": "/me/Häuser \\${a}"}
    made = typed(
        "bvae -m beta=1,4 runs_dir=runs data.path=my_images",
        compositions={"": CONFIGURATION | {"data": data}},
    )
    assert shlex.split(extend(made, {"beta": [1, 4, 16]})) == [
        *["bvae", "-m", "beta=1,4,16"],
        *PLACE,
        'data.path="/me/Häuser \\${a}"',
    ]


def test_own_parts_are_where_they_were() -> None:
    """So the command is typed there, and leaves nobody in another folder."""
    made = typed("bvae -m", parts_folder="/me/my parts")
    assert extend(made, {"beta": [1]}).startswith("(cd '/me/my parts' && bvae -m ")


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
    assert sweep(typed(text), {"beta": [8]}) == [*expected.split(), *PLACE]
