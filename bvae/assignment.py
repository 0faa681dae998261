"""What is asked of a trial."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bvae.config import Config
from bvae.trial import Monitor, RunIdentity, TrialFolder


@dataclass(frozen=True)
class Assignment:
    """What to train, where, and under which name it is tracked."""

    config: Config
    folder: TrialFolder
    point: Mapping[str, object]
    attempt: int
    identity: RunIdentity
    tracker_folder: Path
    monitor: Monitor = field(default_factory=Monitor)
