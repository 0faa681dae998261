from collections.abc import Callable

import pytest

from bvae.exceptions import ConfigError
from sweeps import load_study
from sweeps.study.command import sweeps
from sweeps.study.study import Study

Type = Callable[..., str]


def test_failed_trials_are_queued_again(study: Study, typed: Type) -> None:
    """With what to type next."""
    said = typed("retry", study.folder.root)

    assert said.startswith("1 failed")
    assert said.endswith(f": {sweeps('resume', study.folder.root)}\n")
    again = typed("retry", study.folder.root)
    assert again.startswith("0 failed")
    assert "resume" not in again
    assert "pending" == load_study(study.folder.root).states["beta=16,latent_dim=5,seed=1"]


@pytest.mark.parametrize(
    ("where", "number"),
    [
        (["beta=16.0"], 1),
        (["beta=16", "seed=1"], 1),
        (["beta=16", "seed=0"], 0),
        (["beta=4"], 0),
        (["beta=4", "beta=16"], 1),
    ],
)
def test_only_some(study: Study, typed: Type, where: list[str], number: int) -> None:
    """Of each key one value must hold; 16.0 is 16."""
    options = [text for condition in where for text in ("--where", condition)]

    assert typed("retry", study.folder.root, *options).startswith(f"{number} failed")


@pytest.mark.parametrize(
    ("where", "there_are"),
    [
        ("beta", "beta, latent_dim, seed"),
        ("lr=1", "beta, latent_dim, seed"),
        ("beta=x", "1, 16, 4"),
    ],
)
def test_a_condition_that_is_none(study: Study, typed: Type, where: str, there_are: str) -> None:
    """The message names the keys there are, or the values."""
    with pytest.raises(ConfigError, match=f"--where {where}: .*{there_are}"):
        typed("retry", study.folder.root, "--where", where)
