from dataclasses import fields

import pytest
from omegaconf import OmegaConf

from bvae.exceptions import ConfigError
from sweeps.plan.settings import SweepSettings, described, settings_of


def test_every_key_is_described() -> None:
    """A line each, with the default as it is typed, and nothing else."""
    lines = described().splitlines()
    keys = [entry.name for entry in fields(SweepSettings) if entry.name not in HIDDEN]

    assert keys == [line.partition("=")[0] for line in lines]
    assert all(len(line.partition("  ")[2].strip()) > 9 for line in lines)
    assert {"n_workers=null", "dry_run=false", "params={}"} <= {line.split()[0] for line in lines}


HIDDEN = ("defaults", "_target_")
"""What Hydra needs."""


class TestSettings:
    @pytest.mark.parametrize(
        ("key", "value", "message"),
        [
            ("n_workers", 0, "n_workers: expected an integer of at least 1, but got 0"),
            ("max_attempts", 0, "max_attempts: expected an integer of at least 1, but got 0"),
            ("max_deaths", -1, "max_deaths: expected an integer of at least 1, but got -1"),
            ("max_minutes", 0.0, "max_minutes: expected a finite number above 0, but got 0"),
            ("max_minutes", float("nan"), "max_minutes: expected a finite number above 0"),
            ("direction", "minimize", "direction: expected maximize"),
            ("study_name", "x", "study_name: a study is named by study="),
            ("storage", "sqlite:///a.db", "SQLite locks no rows: two workers would be handed one"),
            ("storage", "mysql://h/d", "expected postgresql://user@host/database, but got mysql"),
            (
                "storage",
                "postgresql://u:p@h/d",
                "a password has no place in a file; set PGPASSWORD",
            ),
            ("storage", "postgresql://h/d?password=p", "a password has no place in a file"),
            ("workers_per_device", 0, "workers_per_device: expected an integer of at least 1"),
            ("pruner", "hyperband", "pruner: expected one of percentile, median, or null"),
            ("n_trials", 0, "n_trials: expected an integer of at least 1, but got 0"),
        ],
    )
    def test_mistakes(self, key: str, value: object, message: str) -> None:
        """Each is told with the key as it is typed."""
        settings = SweepSettings(**{key: value})  # type: ignore[arg-type]

        with pytest.raises(ConfigError, match=rf"^hydra\.sweeper\.{key}: ") as raised:
            settings.check()
        assert message in str(raised.value)

    def test_all_at_once(self) -> None:
        """And none where there is none."""
        with pytest.raises(ConfigError, match="n_workers") as raised:
            SweepSettings(n_workers=0, max_minutes=-1.0, storage="x").check()

        assert 3 == len(str(raised.value).splitlines())
        SweepSettings(n_workers=2, max_minutes=0.5).check()

    def test_keys_become_one_record(self) -> None:
        """What is not typed has its default."""
        settings = settings_of(OmegaConf.create({"n_workers": 3, "max_deaths": 2}))

        assert SweepSettings(n_workers=3, max_deaths=2) == settings
