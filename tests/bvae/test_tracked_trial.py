from pathlib import Path

import pytest

from bvae import tracked_trial
from bvae.history import History
from bvae.tracking import Tracker
from bvae.trial import TrialFolder
from tests.doubles.studies import result, trials


class Notes(Tracker):
    """Writes down what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[object, ...]] = []

    def log(self, values: object, *, step: int) -> None:
        self.told.append((step, values))

    def log_picture(self, key: str, path: Path, *, step: int) -> None:
        self.told.append((step, key, path.name))

    def log_bars(self, key: str, heights: object, *, step: int) -> None:
        self.told.append((step, key, heights))

    def summarise(self, values: object) -> None:
        self.told.append(("summary", values))

    def alert(self, title: str, text: str, *, is_failure: bool) -> None:
        self.told.append((title, text, is_failure))

    def finish(self, exit_code: int = 0) -> None:
        self.told.append(("end", exit_code))


@pytest.fixture
def folder(tmp_path: Path) -> TrialFolder:
    """A trial of 20 steps with three pictures."""
    folder = TrialFolder(tmp_path)
    history = History(folder.history, ["step", "train/loss", "val/loss"])
    history.start_at(0)
    history.add(10, {"train/loss": 5.0})
    history.add(20, {"train/loss": 4.0, "val/loss": 4.5})
    for path in (folder.preview(10).traversal, folder.media.traversal, folder.media.traversal_gif):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


class TestTell:
    def test_a_complete_trial(self, folder: TrialFolder) -> None:
        """Rows, pictures on the way and outcome, in the order of the steps."""
        notes = Notes()
        tracked_trial.tell(notes, folder, result(trials()[0], steps=20))

        assert notes.told == [
            (10, {"train/loss": 5.0}),
            (10, "media/traversal", "traversal.png"),
            (20, {"train/loss": 4.0, "val/loss": 4.5}),
            (20, {"scores/mig": 0.25}),
            (20, "kl/per_latent", [5.0]),
            (20, "media/traversal", "traversal.png"),
            (20, "media/traversal_gif", "traversal.gif"),
            ("summary", {"scores/mig": 0.25, "active_latents": 1}),
        ]

    def test_a_failed_one(self, folder: TrialFolder) -> None:
        """The rows up to its end, and no outcome."""
        notes = Notes()
        tracked_trial.tell(notes, folder, result(trials()[0], state="failed"))

        assert [10, 10, 20] == [told[0] for told in notes.told]


class TestFinish:
    @pytest.mark.parametrize("alert", [True, False])
    def test_a_failed_trial(self, *, alert: bool) -> None:
        """Its run failed, and where it is wanted a message says why."""
        notes = Notes()
        failed = result(trials()[0], state="failed", error="ValueError: no\nTraceback")
        tracked_trial.finish(notes, failed, name="b1-m5-s0", alert=alert)

        message = ("b1-m5-s0 failed", "ValueError: no", True)
        assert ([message] if alert else []) + [("end", 1)] == notes.told

    def test_a_complete_trial(self) -> None:
        """It ends well, and needs no message."""
        notes = Notes()
        tracked_trial.finish(notes, result(trials()[0]), name="b1-m5-s0", alert=True)

        assert [("end", 0)] == notes.told
