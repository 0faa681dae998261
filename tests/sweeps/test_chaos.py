"""Whole studies whose processes are killed at random: nothing is lost, nothing is done again."""

from collections import Counter
from pathlib import Path

import pytest

from sweeps import load_study
from sweeps.analysis.curve import curve, write_curve
from sweeps.study.heartbeat import living_workers
from sweeps.study.study import Study
from tests.doubles.studies import attempts_of, make_search, make_study, trials
from tests.doubles.sweeping import Command, of_steps

pytestmark = pytest.mark.slow


def completed(study: Study) -> Counter[str]:
    """Count the complete trials of each trial in the journal."""
    complete = (one for one in attempts_of(study) if one.state.name == "COMPLETE")
    return Counter(one.user_attrs["slug"] for one in complete)


def finished(study: Study) -> dict[str, int]:
    """Return which file holds the result of each trial that has one."""
    results = study.folder.trials.glob("*/result.json")
    return {path.parent.name: path.stat().st_ino for path in results}


def test_thirty_kills(tmp_path: Path) -> None:
    """300 trials, 4 workers, a SIGKILL every half second: each ends with one result."""
    listed = trials(beta=[2.0**n for n in range(-5, 5)], seed=range(30))
    study = make_study(
        tmp_path / "tested",
        listed,
        trial="tests.doubles.fakes.stepping",
        compositions=of_steps(60),
    )
    command = Command(study.folder.root, n_workers=4)
    first: dict[str, int] = {}

    for _ in command.kills(30, every_s=0.6):
        counts = load_study(study.folder.root).counts
        assert 300 == counts.pop("expected") == sum(counts.values())
        now = finished(study)
        assert first.items() <= now.items()
        first = now

    assert (0, 30) == (command.code, len(command.killed))
    assert {"orchestrator", "worker"} == set(command.killed)
    assert {trial.slug: 1 for trial in listed} == completed(study)
    assert 300 == load_study(study.folder.root).counts["complete"]
    assert [] == living_workers(study.folder.workers)


def test_a_search_is_killed_too(tmp_path: Path) -> None:
    """40 trainings in all, over however many commands; each trial has one result."""
    study = make_search(
        tmp_path / "tested",
        n_trials=40,
        trial="tests.doubles.fakes.stepping",
        compositions=of_steps(90),
    )
    command = Command(study.folder.root, n_workers=3)
    for _ in command.kills(8, every_s=0.8):
        counts = load_study(study.folder.root).counts
        assert 40 == counts.pop("expected") == sum(counts.values())

    found = load_study(study.folder.root)
    assert (0, 8) == (command.code, len(command.killed))
    assert 40 == len(set(found.trials)) == found.counts["complete"]
    assert {trial.slug: 1 for trial in found.trials} == completed(study)


def curve_of(study: Study) -> bytes:
    """Return the bytes of a study's curve.csv."""
    study = load_study(study.folder.root)
    write_curve(study.folder.report / "curve.csv", curve(study.frame(), score_names=["mig"]))
    return (study.folder.report / "curve.csv").read_bytes()


def test_the_curve_is_the_same_byte_for_byte(tmp_path: Path) -> None:
    """Whether the study ran through, or was killed ten times at random."""
    listed = trials(beta=[1, 4, 16], seed=range(8))
    curves = []
    for kills, steps in ((0, 1), (10, 100)):
        root = tmp_path / str(kills) / "tested"
        make_study(root, listed, trial="tests.doubles.fakes.stepping", compositions=of_steps(steps))
        command = Command(root, n_workers=2)
        for _ in command.kills(kills, every_s=0.8):
            pass
        assert (0, kills) == (command.code, len(command.killed))
        curves.append(curve_of(load_study(root)))

    assert curves[0] == curves[1]
    assert 4 == len(curves[0].splitlines())
