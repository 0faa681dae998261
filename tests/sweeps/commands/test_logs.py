from collections.abc import Callable
from pathlib import Path

import pytest

from bvae.exceptions import ConfigError
from sweeps.study.study import Study
from tests.doubles.studies import make_study, trials

Type = Callable[..., str]


def test_log_and_error(study: Study, typed: Type) -> None:
    """What the trial wrote, then why it failed, traceback and all."""
    folder = study.folder.trial("beta=16,latent_dim=5,seed=1")
    folder.log.write_text("step 1\n")

    assert "step 1\n\nValueError: no\nTraceback\n" == typed(
        "logs", study.folder.root, "beta=16,latent_dim=5,seed=1"
    )


def test_a_part_of_the_name_is_enough(study: Study, typed: Type) -> None:
    """As long as one trial has it."""
    assert "(no log yet)\n" == typed("logs", study.folder.root, "beta=4,latent_dim=5,seed=0")


def test_bytes_that_are_no_text(study: Study, typed: Type) -> None:
    """What a torn write or another program left is shown as it can be."""
    study.folder.trial("beta=4,latent_dim=5,seed=0").root.mkdir(exist_ok=True)
    study.folder.trial("beta=4,latent_dim=5,seed=0").log.write_bytes(b"one\xff")

    assert "one\N{REPLACEMENT CHARACTER}\n" == typed(
        "logs", study.folder.root, "beta=4,latent_dim=5,seed=0"
    )


def test_a_whole_name_beats_a_longer_one(tmp_path: Path, typed: Type) -> None:
    """seed=1 is a part of seed=10."""
    made = make_study(tmp_path / "tested", trials(beta=[1], seed=[1, 10]))
    made.folder.trial("beta=1,latent_dim=5,seed=1").root.mkdir(parents=True)
    made.folder.trial("beta=1,latent_dim=5,seed=1").log.write_text("one")

    assert "one\n" == typed("logs", made.folder.root, "beta=1,latent_dim=5,seed=1")


@pytest.mark.parametrize(("name", "number"), [("beta=1", 4), ("beta=2", 0)])
def test_too_little_or_nothing(study: Study, typed: Type, name: str, number: int) -> None:
    """Candidates are listed."""
    with pytest.raises(ConfigError, match=f"{name}: names {number} trials"):
        typed("logs", study.folder.root, name)
