"""Every time after which a process of a study does something: one record, passed in."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Timeouts:
    """Seconds.

    Attributes:
        heartbeat: between two beats of a worker.
        heartbeat_lost: a worker without a new beat for so long, twelve beats, is dead.
        reconcile: how often an idle worker, and the command that runs a study, reconcile the queue.
        idle: how often an idle worker checks for a waiting trial.
        lease_check: how often a worker in training checks that it still has its lease.
        stop_check: how often it checks for the study's stop file.
        commit: how long after a failed write of a result it is tried again; pauses double.
        fault: how long after a fault of the machine the next trial is begun; pauses double.
        poll: how often a command looks at its workers.
        stop_within: how long workers may take after Ctrl-C to save and exit; then they are killed.
        exit_within: how long a process may take after Ctrl-C to save what it trains and to exit.
        linger: how long launchers may take to notice that their workers have exited.
        database: how long a database may be unreachable before the sweep fails.
        requeue: how long a job that got SIGTERM waits, having saved, until SLURM requeues or
            ends it.
    """

    heartbeat: float = 5.0
    heartbeat_lost: float = 60.0
    reconcile: float = 5.0
    idle: float = 0.5
    lease_check: float = 10.0
    stop_check: float = 0.5
    commit: float = 0.5
    fault: float = 2.0
    poll: float = 0.5
    stop_within: float = 6.0
    exit_within: float = 8.0
    linger: float = 10.0
    database: float = 60.0
    requeue: float = 600.0


TIMEOUTS = Timeouts()
"""Those of every process; tests pass others."""
