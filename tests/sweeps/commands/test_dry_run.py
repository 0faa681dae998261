import io
from pathlib import Path

import pytest
from rich.console import Console

from bvae import step_time
from bvae.config import Config
from bvae.machine import Machine
from sweeps.commands.dry_run import preview
from sweeps.plan.plan import Plan
from sweeps.search.search import Search
from sweeps.study.folder import StudyFolder
from sweeps.study.manifest import Manifest
from sweeps.study.study import Study
from sweeps.study.trials import Trial, grid
from sweeps.workers.devices import Share
from sweeps.workers.live_table import Display
from tests.doubles.studies import SEARCH, manifest, trials, write_result


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> list[Config]:
    """The configurations that were timed; a step takes 0.1 s for each latent."""
    seen: list[Config] = []

    def step_time_s(config: Config) -> float:
        seen.append(config)
        return 0.1 * config.latent_dim

    monkeypatch.setattr(step_time, "step_time_s", step_time_s)
    return seen


def said(made: Manifest, root: Path, *, n_workers: int = 1, cpus: float = 8) -> list[str]:
    """Return what is said of a study that might be run."""
    out = io.StringIO()
    asked = tuple(Trial.of(values) for values in made.trials)
    planned = Plan(StudyFolder(root), made, (), asked, ("a note",))
    preview(
        planned,
        share=Share(n_workers, "as the test says"),
        machine=Machine(processors=8, cpus=cpus, memory=8e9),
        display=Display(Console(file=out)),
    )
    return out.getvalue().splitlines()


def test_trials_are_listed_with_their_states(timed: list[Config], tmp_path: Path) -> None:
    """Each trial as it would be typed, what is done already, and how many are left."""
    made = manifest(trials())
    write_result(Study(StudyFolder(tmp_path), made), trials()[0])

    lines = said(made, tmp_path)

    assert "a note" == lines[0]
    assert "  complete  beta=1 latent_dim=5 seed=0" == lines[1]
    assert "  pending   beta=4 latent_dim=5 seed=1" == lines[4]
    assert lines[5].endswith("1 already done, 3 to run")


def test_what_a_search_will_choose_is_counted(timed: list[Config], tmp_path: Path) -> None:
    """Five more beside the seven it begins with, each like one of them: 12 · 10 steps of 1 s."""
    found = Search.read(SEARCH)
    lines = said(manifest(found.start(), search=found.written()), tmp_path)

    assert "  and 5 that the search will choose" == lines[8]
    assert "0 already done, 12 to run" in lines[9]
    assert "1 worker: as the test says" == lines[10]
    assert lines[11].startswith("about 2:00 of training on 1 worker: 120 steps")


def test_nothing_is_written(timed: list[Config], tmp_path: Path) -> None:
    """Not even a folder."""
    said(manifest(trials()), tmp_path / "tested")

    assert [] == list(tmp_path.iterdir())


def test_time_is_estimated_from_a_step_of_each_kind_of_configuration(
    timed: list[Config], tmp_path: Path
) -> None:
    """β and seed cost nothing; 2 sizes · 4 trials · 10 steps of 0.2 or 0.4 s, by 2 workers."""
    listed = grid({"beta": [1, 4], "latent_dim": [2, 4], "seed": [0, 1]})[0]

    last = said(manifest(listed), tmp_path, n_workers=2)[-1]

    assert [2, 4] == [config.latent_dim for config in timed]
    assert "about 0:12 of training on 2 workers: 80 steps, 200 to 400 ms a step" in last


def test_no_more_workers_than_trials(timed: list[Config], tmp_path: Path) -> None:
    """Eight hands do not make one trial quicker: 10 steps of 0.5 s."""
    last = said(manifest(trials(beta=[1], seed=[0])), tmp_path, n_workers=8)[-1]

    assert last.startswith("about 0:05 of training on 1 worker")


def test_a_finished_study_costs_nothing(timed: list[Config], tmp_path: Path) -> None:
    """Nothing is timed where nothing is left."""
    made = manifest(trials())
    for trial in trials():
        write_result(Study(StudyFolder(tmp_path), made), trial)

    assert said(made, tmp_path)[-1].endswith("4 already done, 0 to run")
    assert [] == timed


def test_a_share_of_the_processors_takes_longer(timed: list[Config], tmp_path: Path) -> None:
    """Four trials of one thread, 10 steps of 0.5 s each, two at a time on half a processor."""
    last = said(manifest(trials()), tmp_path, n_workers=2, cpus=0.5)[-1]

    assert last.startswith("about 0:40 of training on 2 workers")
