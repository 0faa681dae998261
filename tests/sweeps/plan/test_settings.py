from dataclasses import fields

from sweeps.plan.settings import SweepSettings, described


def test_every_key_is_described() -> None:
    """A line each, with the default as it is typed, and nothing else."""
    lines = described().splitlines()
    keys = [entry.name for entry in fields(SweepSettings) if entry.name not in HIDDEN]

    assert keys == [line.partition("=")[0] for line in lines]
    assert all(len(line.partition("  ")[2].strip()) > 9 for line in lines)
    assert {"n_workers=null", "dry_run=false", "params={}"} <= {line.split()[0] for line in lines}


HIDDEN = ("defaults", "_target_")
"""What Hydra needs."""
