import os

import pytest

from bvae.environ import environ


def test_variables_are_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was set, removed or unknown before is so again, also after an error."""
    monkeypatch.setenv("BVAE_A", "before")
    monkeypatch.setenv("BVAE_B", "before")
    seen = []

    def look() -> None:
        with environ({"BVAE_A": "now", "BVAE_B": None, "BVAE_C": "now"}):
            seen.extend(os.environ.get(name) for name in ("BVAE_A", "BVAE_B", "BVAE_C"))
            raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        look()

    assert ["now", None, "now"] == seen
    assert ("before", "before") == (os.environ["BVAE_A"], os.environ["BVAE_B"])
    assert "BVAE_C" not in os.environ
