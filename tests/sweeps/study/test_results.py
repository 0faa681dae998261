import os

import pytest

from bvae.trial import TrialResult
from sweeps.study.results import ABANDONED, Results
from sweeps.study.study import Study
from tests.doubles.studies import result, trials, write_result


def test_what_the_engine_needs_of_a_result(study: Study) -> None:
    """State, attempt, the objective, the first line of the error, and the time."""
    failed, complete = trials()[:2]
    write_result(study, complete, scores={"mig": 0.5, "beta_vae": 0.9})
    write_result(
        study, failed, state="failed", attempt=2, scores={}, error="ValueError: no\nTraceback"
    )
    results = Results(study.folder, objective=study.manifest.objective)

    ended = results.read(complete.slug)
    assert ended is not None
    assert ("complete", 1, 0.5, None, 2.0) == (
        ended.state,
        ended.attempt,
        ended.value,
        ended.cause,
        ended.wall_time_s,
    )
    ended = results.read(failed.slug)
    assert ended is not None
    assert ("failed", 2, None, "ValueError: no") == (
        ended.state,
        ended.attempt,
        ended.value,
        ended.cause,
    )


def test_a_file_is_read_when_it_has_changed(study: Study) -> None:
    """The same object comes back until another result is in its place."""
    trial = trials()[0]
    write_result(study, trial)
    results = Results(study.folder, objective=study.manifest.objective)
    first = results.read(trial.slug)

    assert first is results.read(trial.slug)
    write_result(study, trial, scores={"mig": 0.75})
    second = results.read(trial.slug)
    assert second is not None
    assert 0.75 == second.value


def test_a_result_that_is_gone_is_forgotten(study: Study) -> None:
    """A retry sets it aside; one put back with the same times is seen again."""
    trial = trials()[0]
    write_result(study, trial)
    path = study.folder.trial(trial.slug).result
    results = Results(study.folder, objective=study.manifest.objective)
    results.read(trial.slug)
    path.rename(path.with_name("aside"))

    assert results.read(trial.slug) is None
    path.with_name("aside").rename(path)
    assert results.read(trial.slug) is not None


def test_a_damaged_result_is_none_until_it_is_whole(study: Study) -> None:
    """What cannot be read is looked at again."""
    trial = trials()[0]
    path = study.folder.trial(trial.slug).result
    path.parent.mkdir(parents=True)
    path.write_text("{")
    results = Results(study.folder, objective=study.manifest.objective)

    assert results.read(trial.slug) is None
    stamp = path.stat().st_mtime_ns
    result(trial).write(path)
    os.utime(path, ns=(stamp, stamp))
    assert results.read(trial.slug) is not None


def test_a_score_that_is_no_number_is_no_value(study: Study) -> None:
    """Neither Optuna nor a mean can do anything with NaN."""
    write_result(study, trials()[0], scores={"mig": float("nan")})

    ended = Results(study.folder, objective=study.manifest.objective).read(trials()[0].slug)
    assert ended is not None
    assert ended.value is None


@pytest.mark.parametrize(
    ("error", "expected"),
    [(f"{ABANDONED} 10 times", True), ("ValueError: its worker died", False), (None, False)],
)
def test_an_abandoned_trial_is_known(study: Study, error: str | None, expected: bool) -> None:
    """Deaths of workers are distinguished from failures of attempts."""
    write_result(study, trials()[0], state="failed", error=error)

    ended = Results(study.folder, objective=study.manifest.objective).read(trials()[0].slug)
    assert ended is not None
    assert expected is ended.is_abandoned


def test_what_is_written_is_known(study: Study) -> None:
    """As the engine sees it; a trial is complete when its result counts."""
    trial = trials()[0]
    results = Results(study.folder, objective=study.manifest.objective)

    assert not results.is_complete(trial.slug)
    assert "failed" == results.write(trial.slug, result(trial, state="failed", scores={})).state
    assert not results.is_complete(trial.slug)
    assert 0.5 == results.write(trial.slug, result(trial, scores={"mig": 0.5})).value
    assert results.is_complete(trial.slug)


def test_a_shorter_training_outlives_one_that_failed(study: Study) -> None:
    """A continued trial may fail; the earlier result is kept beside the failure."""
    trial = trials()[0]
    results = Results(study.folder, objective=study.manifest.objective)
    results.write(trial.slug, result(trial, steps=10, scores={"mig": 0.5}))
    results.write(trial.slug, result(trial, state="failed", scores={}))

    kept = TrialResult.read(study.folder.trial(trial.slug).root / "result.10.json")
    assert kept is not None
    assert {"mig": 0.5} == kept.scores


def test_a_result_that_cannot_be_read_again(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that takes a file and does not give it back is an error of the disk."""
    trial = trials()[0]
    write_result(study, trial)
    monkeypatch.setattr(TrialResult, "write", lambda self, path: path.write_text("{"))

    with pytest.raises(OSError, match="the result just written cannot be read"):
        Results(study.folder, objective=study.manifest.objective).write(trial.slug, result(trial))
