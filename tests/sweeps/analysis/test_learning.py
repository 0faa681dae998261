"""Learning curves as trials log them, thinned for a chart."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bvae.history import columns
from sweeps.analysis.learning import MAX_POINTS, SERIES, LearningCurve, learning_curves

NAMES = columns(latent_dim=2, scores=True)


def log(trial: Path, steps: Sequence[int], **more: float) -> None:
    """Log a loss of 1000 less a step, as a training does, and the same of everything."""
    names = [*NAMES, *more]
    rows = [[step, *([1000 - step] * (len(NAMES) - 1)), *more.values()] for step in steps]
    text = "".join(",".join(map(str, row)) + "\n" for row in [names, *rows])
    (trial / "history.csv").write_text(text)


@pytest.fixture
def study(make_study: Any, trials_of: Any) -> Any:
    """A study of three trials that have logged nothing yet."""
    return make_study(trials_of(betas=(4,), latent_dims=(5,), seeds=(0, 1, 2)))


@pytest.fixture
def folders(study: Any) -> list[Path]:
    """Their folders."""
    return [study.trial_folder(trial.slug) for trial in study.trials]


def losses(study: Any) -> list[LearningCurve | None]:
    """Return the loss of each trial."""
    return [own.get("train/loss") for own in learning_curves(study).values()]


def test_what_was_logged_comes_back(study: Any, folders: list[Path]) -> None:
    """Losses, KL, active latents and the validation score, by step; a trial without has none."""
    log(folders[1], [100, 200])
    nothing, logged, _ = learning_curves(study).values()

    assert nothing == {}
    assert set(logged) == {*SERIES, "scores/mig"}
    assert logged["train/kl"] == LearningCurve([100, 200], [900.0, 800.0])


@pytest.mark.parametrize("count", [1, MAX_POINTS, MAX_POINTS + 1, 10 * MAX_POINTS + 7])
def test_long_curves_are_thinned_evenly(study: Any, folders: list[Path], count: int) -> None:
    """At most MAX_POINTS steps at equal distances are left, the last of them always."""
    log(folders[0], range(10, 10 * count + 10, 10))
    curve = losses(study)[0]

    assert curve is not None
    assert MAX_POINTS / 2 < len(curve.steps) <= MAX_POINTS or count == 1
    assert curve.steps[-1] == 10 * count
    assert len({b - a for a, b in zip(curve.steps, curve.steps[1:], strict=False)}) <= 1
    assert list(curve.values) == [1000.0 - step for step in curve.steps]


def test_all_trials_keep_the_same_steps(study: Any, folders: list[Path]) -> None:
    """A running trial has those it has come to, one that was NaN for a while has a hole there."""
    log(folders[0], range(1, 101))
    log(folders[1], range(1, 51))
    log(folders[2], range(1, 101))
    lines = (folders[2] / "history.csv").read_text().splitlines()
    lines[4] = lines[4].replace("996", "nan")
    (folders[2] / "history.csv").write_text("\n".join(lines) + "\n")
    whole, running, holed = losses(study)

    assert whole is not None
    assert running is not None
    assert holed is not None
    assert list(running.steps) == [step for step in whole.steps if step <= 50]
    assert set(whole.steps) - set(holed.steps) == {4}
    assert all(math.isfinite(value) for value in holed.values)


def test_torn_last_line_is_left_out(study: Any, folders: list[Path]) -> None:
    """A trial that is being trained, or was killed while it logged, has the steps before."""
    log(folders[0], [100, 200])
    with (folders[0] / "history.csv").open("a") as file:
        file.write("300,70")

    assert losses(study) == [LearningCurve([100, 200], [900.0, 800.0]), None, None]


def test_own_validation_scores_are_learning_curves(study: Any, folders: list[Path]) -> None:
    """Whatever a part of the user's logs as a score is shown by its name."""
    log(folders[0], [100], **{"scores/fid": 7.0})

    assert learning_curves(study)[study.trials[0].slug]["scores/fid"].values == [7.0]
