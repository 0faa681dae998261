from collections.abc import Callable

import pytest

from bvae.exceptions import ConfigError
from sweeps import load_study
from sweeps.study.command import sweeps
from sweeps.study.study import Study

Type = Callable[..., str]


def test_what_left_is_named(study: Study, typed: Type) -> None:
    """With where its folders are, and what draws the report anew."""
    said = typed("drop", study.folder.root, "--where", "beta=16.0").splitlines()

    assert ["  beta=16,latent_dim=5,seed=0", "  beta=16,latent_dim=5,seed=1"] == said[:2]
    assert said[2].startswith("2 trials dropped")
    assert said[3].startswith("2 folders moved to ")
    assert said[4].endswith(sweeps("report", study.folder.root))
    assert {1, 4} == {trial.values["beta"] for trial in load_study(study.folder.root).trials}


def test_a_value_that_no_trial_has(study: Study, typed: Type) -> None:
    """The values there are, are named; nothing is changed."""
    with pytest.raises(ConfigError, match="--where beta=1600: no trial has it; beta is 1, 16, 4"):
        typed("drop", study.folder.root, "--where", "beta=1600")
    assert study.manifest == load_study(study.folder.root).manifest
