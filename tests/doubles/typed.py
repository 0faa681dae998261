"""Commands as they are typed, in the process of the test."""

import sys

import pytest
from hydra.core.global_hydra import GlobalHydra

from bvae import __main__ as application
from sweeps import __main__ as entry


def type_in(program: str, *arguments: str) -> int:
    """Type `bvae` or `sweeps`; return the exit code."""
    GlobalHydra.instance().clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HYDRA_FULL_ERROR", "1")
        patch.setattr(sys, "argv", [program, *arguments])
        with pytest.raises(SystemExit, match=r"^\d+$") as ended:
            (application if program == "bvae" else entry).main()
    return int(ended.value.code or 0)
