import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bvae.exceptions import DataError
from bvae.trial import SCHEMA, Monitor, TrialFolder, TrialResult, now

RESULT = TrialResult(
    point={"beta": 4, "latent_dim": 5, "seed": 0},
    state="complete",
    attempt=2,
    threads=1,
    started_at="2026-01-01T00:00:00+00:00",
    scores={"mig": 0.25},
    kl_per_latent=[1.5, 0.0],
)


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Nothing is lost on the way to disk and back."""
    RESULT.write(tmp_path / "a" / "result.json")

    assert RESULT == TrialResult.read(tmp_path / "a" / "result.json")


def test_the_file_has_the_keys_that_were_promised(tmp_path: Path) -> None:
    """Scripts outside the project read these."""
    RESULT.write(tmp_path / "result.json")
    content = json.loads((tmp_path / "result.json").read_text())

    promised = (
        "schema point beta_norm state scores scoring losses kl_per_latent active_latents "
        "images_seen threads wall_time_s started_at device attempt error versions"
    )
    assert set(promised.split()) <= set(content)
    assert {"beta": 4, "latent_dim": 5, "seed": 0} == content["point"]


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "7", '{"state": "complete"}', "\x00" * 50, '"text"']
)
def test_a_file_that_is_no_record_is_none(tmp_path: Path, content: str) -> None:
    """What a full disk or another program left there is no result."""
    (tmp_path / "result.json").write_text(content)

    assert TrialResult.read(tmp_path / "result.json") is None


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("scores", {"mig": 10**400}, "scores: expected an object of numbers, but got"),
        ("data", {"image_shape": "x"}, "data: expected an image_shape of integers above 0"),
        ("data", {"image_shape": [1, 0]}, "data: expected an image_shape of integers above 0"),
    ],
)
def test_a_wrong_value_is_told(tmp_path: Path, key: str, value: object, reason: str) -> None:
    """A record that no number can be computed of is none."""
    path = tmp_path / "result.json"
    RESULT.write(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))

    assert TrialResult.read(path) is None
    assert reason in str(TrialResult.mistake(path))


def test_no_file_is_no_record(tmp_path: Path) -> None:
    """A trial that has not ended has none; one that may not be read says so."""
    (tmp_path / "loop").symlink_to("loop")

    assert TrialResult.read(tmp_path / "result.json") is None
    assert TrialResult.mistake(tmp_path / "result.json") is None
    assert "Too many levels" in str(TrialResult.mistake(tmp_path / "loop" / "result.json"))


def test_keys_of_later_versions_are_left_out(tmp_path: Path) -> None:
    """A key that is new within the same schema does no harm."""
    (tmp_path / "result.json").write_text(json.dumps(asdict(RESULT) | {"new": 1}))

    assert RESULT == TrialResult.read(tmp_path / "result.json")


def test_a_newer_schema_is_told(tmp_path: Path) -> None:
    """A record that may mean something else is not guessed at."""
    (tmp_path / "result.json").write_text(json.dumps(asdict(RESULT) | {"schema": SCHEMA + 1}))

    with pytest.raises(DataError, match="written by a newer version"):
        TrialResult.read(tmp_path / "result.json")


def test_every_file_is_in_the_trials_folder(tmp_path: Path) -> None:
    """A trial writes nowhere else."""
    folder = TrialFolder(tmp_path / "beta=4")
    names = ("result", "config", "codes", "history", "log", "checkpoints", "resume")
    pictures = ("reconstructions", "traversal", "traversal_gif", "factor_map")
    paths = [getattr(folder, name) for name in names]
    paths += [getattr(folder.media, name) for name in pictures]

    assert all(folder.root in path.parents for path in paths)
    assert len(paths) == len(set(paths))


@pytest.mark.parametrize(
    ("there", "kept"),
    [((), None), (("best",), "best"), (("last",), "last"), (("resume",), None)],
)
def test_weights_that_were_kept(tmp_path: Path, there: tuple[str, ...], kept: str | None) -> None:
    """They are those of the last step or of the best score; a state to resume from is neither."""
    folder = TrialFolder(tmp_path)
    folder.checkpoints.mkdir()
    for name in there:
        (folder.checkpoints / f"{name}.ckpt").touch()

    assert (folder.checkpoints / f"{kept}.ckpt" if kept else None) == folder.weights


def test_a_monitor_alone_never_stops() -> None:
    """A trial run by nobody goes to its end."""
    monitor = Monitor()
    monitor.at(1, 2)

    assert not monitor.stopping()


def test_times_are_in_utc_to_the_second() -> None:
    """A time of another machine can be compared."""
    before = datetime.now(UTC).replace(microsecond=0)
    found = datetime.fromisoformat(now())

    assert before <= found <= datetime.now(UTC)
    assert 0 == found.microsecond
