from pathlib import Path
from typing import Any

import pytest

from bvae import tracked_trial
from bvae.history import History
from bvae.tracking import Tracker
from bvae.trial import TrialFolder
from tests.doubles.studies import result, trials


class Notes(Tracker):
    """Writes down each call, with what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[object, ...]] = []

    def __getattribute__(self, name: str) -> Any:
        """Return what writes a call down."""
        if name.startswith("_") or name == "told":
            return super().__getattribute__(name)
        return lambda *given, **named: self.told.append((name, *given, *named.values()))


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
            ("log", {"train/loss": 5.0}, 10),
            ("log_picture", "media/traversal", folder.preview(10).traversal, 10),
            ("log", {"train/loss": 4.0, "val/loss": 4.5}, 20),
            ("log", {"scores/mig": 0.25}, 20),
            ("log_bars", "kl/per_latent", [5.0], 20),
            ("log_picture", "media/traversal", folder.media.traversal, 20),
            ("log_picture", "media/traversal_gif", folder.media.traversal_gif, 20),
            ("summarise", {"scores/mig": 0.25, "active_latents": 1}),
        ]

    def test_a_failed_one(self, folder: TrialFolder) -> None:
        """The rows up to its end, and no outcome."""
        notes = Notes()
        tracked_trial.tell(notes, folder, result(trials()[0], state="failed"))

        assert ["log", "log_picture", "log"] == [told[0] for told in notes.told]


class TestFinish:
    @pytest.mark.parametrize("alert", [True, False])
    def test_a_failed_trial(self, *, alert: bool) -> None:
        """Its run failed, and where it is wanted a message says why."""
        notes = Notes()
        failed = result(trials()[0], state="failed", error="ValueError: no\nTraceback")
        tracked_trial.finish(notes, failed, name="b1-m5-s0", alert=alert)

        message = ("alert", "b1-m5-s0 failed", "ValueError: no", True)
        assert ([message] if alert else []) + [("finish", 1)] == notes.told

    def test_a_complete_trial(self) -> None:
        """It ends well, and needs no message."""
        notes = Notes()
        tracked_trial.finish(notes, result(trials()[0]), name="b1-m5-s0", alert=True)

        assert [("finish", 0)] == notes.told
