from collections.abc import Callable
from pathlib import Path

import pytest

from sweeps.study.study import Study
from sweeps.study.trials import Trial

Type = Callable[..., str]


@pytest.fixture
def filled(study: Study) -> Study:
    """Every trial has all that one may have; of two runs W&B has one and a half."""
    for trial in study.trials:
        folder = study.folder.trial(trial.slug)
        folder.checkpoints.mkdir(parents=True, exist_ok=True)
        for path in (folder.last, folder.resume, folder.codes, folder.history, folder.log):
            path.write_bytes(bytes(1000))
        for media in (folder.media, folder.preview(5)):
            media.root.mkdir()
            media.traversal.write_bytes(bytes(500))
    for run, number, is_synced in (("a", 0, True), ("b", 0, True), ("b", 1, False)):
        offline = study.folder.wandb / f"offline-run-20260101_00000{number}-{run}"
        offline.mkdir(parents=True)
        (offline / f"run-{run}.wandb").write_bytes(bytes(2000))
        if is_synced:
            (offline / f"run-{run}.wandb.synced").touch()
    return study


def contents(study: Study) -> set[str]:
    """Return the files of a study but for those of its queue."""
    root = study.folder.root
    return {
        str(path.relative_to(root))
        for path in root.rglob("*")
        if path.is_file() and path.parent != study.folder.workers
    }


def of(trial: Trial, *names: str) -> set[str]:
    """Return these files of a trial."""
    return {f"trials/{trial.slug}/{name}" for name in names}


def test_a_dry_run_says_sizes(filled: Study, typed: Type) -> None:
    """Nothing is removed."""
    before = contents(filled)

    said = typed("clean", filled.folder.root, "--dry-run").splitlines()

    assert ["4 kB", "2 kB", "2 kB"] == [" ".join(line.split()[:2]) for line in said[:3]]
    assert "8 kB  would be removed, of " in said[3]
    assert before == contents(filled)


def test_what_no_answer_needs_is_removed(filled: Study, typed: Type) -> None:
    """Of what has ended and W&B has in full; results, codes, histories and unsynced files stay."""
    before = contents(filled)
    ended = [trial for trial in filled.trials if filled.states[trial.slug] != "pending"]
    assert 4 == len(ended)

    assert "8 kB  removed, of " in typed("clean", filled.folder.root)

    gone = [of(trial, "checkpoints/last.ckpt", "media/step-5/traversal.png") for trial in ended]
    run = "wandb/offline-run-20260101_000000-a/run-a.wandb"
    assert {run, f"{run}.synced"}.union(*gone) == before - contents(filled)


def test_nothing_outside_is_removed(filled: Study, typed: Type, tmp_path: Path) -> None:
    """Links are left alone, whatever they lead to."""
    outside = tmp_path / "outside"
    (outside / "step-5").mkdir(parents=True)
    (outside / "last.ckpt").touch()
    first, second, *_ = (
        filled.folder.trial(slug) for slug, state in filled.states.items() if state == "complete"
    )
    for folder in (first.checkpoints, second.media.root):
        folder.rename(tmp_path / folder.parent.name)
        folder.symlink_to(outside)

    typed("clean", filled.folder.root)

    assert {"step-5", "last.ckpt"} == {path.name for path in outside.iterdir()}


@pytest.mark.parametrize("name", ["trials", "wandb"])
def test_a_whole_folder_that_is_elsewhere(
    filled: Study, typed: Type, tmp_path: Path, name: str
) -> None:
    """It is left alone, too."""
    elsewhere = (filled.folder.root / name).rename(tmp_path / "elsewhere")
    (filled.folder.root / name).symlink_to(elsewhere)
    before = sorted(elsewhere.rglob("*"))

    typed("clean", filled.folder.root)

    assert before == sorted(elsewhere.rglob("*"))
