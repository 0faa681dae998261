"""What may happen to a trial, and what is then to be done: records, without any rule."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from sweeps.study.heartbeat import Sighting
from sweeps.study.results import Outcome


class End(enum.StrEnum):
    """Why an attempt without a result has ended, as the journal has it."""

    DEATH = "death"
    INTERRUPTED = "interrupted"
    FAULT = "fault"
    RETRIED = "retried"
    SUPERSEDED = "superseded"
    DROPPED = "dropped"


@dataclass(frozen=True)
class GrantLease:
    """A worker takes the trial."""

    worker: str


@dataclass(frozen=True)
class Commit:
    """A worker has a result of its attempt."""

    worker: str
    result: Outcome


@dataclass(frozen=True)
class Release:
    """A worker was interrupted; the trial is saved."""

    worker: str


@dataclass(frozen=True)
class Fault:
    """The machine has failed a worker's attempt; `n_complete` trials were complete then."""

    worker: str
    cause: str
    n_complete: int


@dataclass(frozen=True)
class PruneWaiting:
    """Another seed of the configuration was pruned before this one was begun."""


@dataclass(frozen=True)
class Retry:
    """A failed trial is to start anew."""


@dataclass(frozen=True)
class Drop:
    """The trial has left the manifest."""


@dataclass(frozen=True)
class Reconcile:
    """Somebody looks whether all is in order; what was seen of workers is by name."""

    sightings: Mapping[str, Sighting] = field(default_factory=dict)


Event = GrantLease | Commit | Release | Fault | PruneWaiting | Retry | Drop | Reconcile


@dataclass(frozen=True)
class Enqueue:
    """Add a waiting attempt; the last ones wait until no other does."""

    number: int
    is_last: bool = False


@dataclass(frozen=True)
class LeaseTo:
    """Lease the waiting attempt."""

    worker: str


@dataclass(frozen=True)
class Write:
    """Write the result file."""

    result: Outcome


@dataclass(frozen=True)
class Finish:
    """End an attempt as the trial's result says."""

    attempt: int


@dataclass(frozen=True)
class EndAttempt:
    """End an attempt that has no result."""

    attempt: int
    reason: End
    step: int = 0
    cause: str = ""
    n_complete: int = 0


@dataclass(frozen=True)
class AddFinished:
    """Add an attempt that has ended as the trial's result says: the store has lost it."""


@dataclass(frozen=True)
class AddMark:
    """Add a mark from which on deaths and faults are counted."""


@dataclass(frozen=True)
class SetAside:
    """Set result and checkpoints aside."""


@dataclass(frozen=True)
class Tidy:
    """Remove the training state of a trial that needs no further attempt."""


Action = Enqueue | LeaseTo | Write | Finish | EndAttempt | AddFinished | AddMark | SetAside | Tidy
