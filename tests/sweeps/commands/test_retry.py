from collections.abc import Callable

import pytest

from bvae.exceptions import ConfigError
from sweeps import load_study
from sweeps.study.study import Study

Type = Callable[..., str]


def test_failed_trials_are_queued_again(study: Study, typed: Type) -> None:
    """With what to type next."""
    said = typed("retry", study.folder.root)

    assert said.startswith("1 failed")
    assert said.endswith(f": {study.manifest.command}\n")
    again = typed("retry", study.folder.root)
    assert again.startswith("0 failed")
    assert study.manifest.command not in again
    assert "pending" == load_study(study.folder.root).states["beta=16,latent_dim=5,seed=1"]


@pytest.mark.parametrize(
    ("where", "number"),
    [
        (["beta=16.0"], 1),
        (["beta=16", "seed=1"], 1),
        (["beta=16", "seed=0"], 0),
        (["beta=4"], 0),
        (["beta=x"], 0),
    ],
)
def test_only_some(study: Study, typed: Type, where: list[str], number: int) -> None:
    """All conditions must hold; 16.0 is 16."""
    options = [text for condition in where for text in ("--where", condition)]

    assert typed("retry", study.folder.root, *options).startswith(f"{number} failed")


@pytest.mark.parametrize("where", ["beta", "lr=1"])
def test_a_condition_that_is_none(study: Study, typed: Type, where: str) -> None:
    """The message names the keys there are."""
    with pytest.raises(ConfigError, match=f"--where {where}: .*beta, latent_dim, seed"):
        typed("retry", study.folder.root, "--where", where)
