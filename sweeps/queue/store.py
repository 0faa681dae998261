"""Where trials are kept, and the one way to change them: load, decide, act.

What is to happen is decided in `states`, without any I/O; here it is done.
"""

import contextlib
import shutil
from collections.abc import Iterator
from typing import Protocol

from bvae.files import remove_leftovers
from bvae.trial import TrialResult, now
from sweeps.queue.attempts import Attempts
from sweeps.queue.events import (
    Action,
    AddFinished,
    AddMark,
    End,
    EndAttempt,
    Enqueue,
    Event,
    Finish,
    LeaseTo,
    SetAside,
    Tidy,
    Write,
)
from sweeps.queue.states import Attempt, TrialRecord, transition
from sweeps.study.results import AttemptResult, Outcome, Results
from sweeps.study.study import Study
from sweeps.study.timeouts import Timeouts
from sweeps.study.trials import Trial


class StaleTokenError(Exception):
    """The lock was lost since the trial was read: what was decided may no longer be right."""


class Store(Protocol):
    """Where the trials of a study are kept.

    Between `get_state` and `set_state` nobody else may change the trial: the caller holds the
    study's lock. The token proves it. It is good until the lock is released, so that a process
    which decides under one lock and acts after losing it changes nothing.
    """

    def get_state(self, slug: str) -> tuple[TrialRecord, object]:
        """Return a trial as it stands, and a token for changing it."""

    def set_state(self, slug: str, action: Action, token: object) -> None:
        """Do to a trial what `states.applied` says of this action.

        The store may be killed half way, but then what is left is a trial that an earlier action
        has left, or one that is leased to nobody.

        Raises:
            StaleTokenError: the token is of a lock that was released; nothing is done.
            OSError: it cannot be written.
        """


def execute(
    store: Store, slug: str, event: Event, *, now: float, timeouts: Timeouts
) -> tuple[Action, ...]:
    """Let an event happen to a trial; call under the study's lock. Return what was done.

    Raises:
        LeaseLostError: the event's worker does not have the trial.
        IllegalEventError: the event cannot happen to a trial in this state.
        OSError: the store cannot be written; what was not done then is done by a later `Reconcile`.
    """
    trial, token = store.get_state(slug)
    actions = transition(trial, event, now, timeouts)
    for action in actions:
        store.set_state(slug, action, token)
    return actions


class StudyStore:
    """The trials of a study: the attempts at them in its journal, the results in their folders."""

    def __init__(self, attempts: Attempts, study: Study, results: Results) -> None:
        self._attempts = attempts
        self._study = study
        self._results = results
        self._trials = {trial.slug: trial for trial in study.trials}
        self._read: dict[str, list[Attempt]] | None = None

    def get_state(self, slug: str) -> tuple[TrialRecord, object]:
        """Return a trial as it stands, and a token for changing it."""
        read = self._read
        found = self._attempts.of(slug) if read is None else read.pop(slug, [])
        record = TrialRecord(
            slug,
            self._study.manifest,
            tuple(found),
            self._results.read(slug),
            is_expected=slug in self._trials,
        )
        return record, self._attempts.store.section

    @contextlib.contextmanager
    def read_at_once(self) -> Iterator[set[str]]:
        """Read the attempts at all trials, which one after another is slow; each is good once.

        Returns:
            the slugs of the trials that have any.
        """
        self._read = self._attempts.by_slug()
        self._read.pop("", None)  # of other programs
        try:
            yield set(self._read)
        finally:
            self._read = None

    def set_state(self, slug: str, action: Action, token: object) -> None:
        """Do something to a trial."""
        if token is None or token != self._attempts.store.section:
            raise StaleTokenError(f"{slug}: {action} was decided under a lock that is gone")
        match action:
            case Enqueue(number, is_last):
                trial = self._trials[slug]
                self._attempts.enqueue(trial, attempt_number=number, is_last=is_last)
            case LeaseTo(worker):
                self._attempts.lease(slug, worker)
            case Write(result):
                self._results.write(slug, self._full(self._trials[slug], result))
            case Finish(attempt):
                self._attempts.finish(attempt, self._result(slug))
            case EndAttempt(attempt, reason, step, cause, n_complete):
                more = {"cause": cause, "complete": n_complete} if reason is End.FAULT else {}
                more |= {"step": step} if reason is End.DEATH else {}
                self._attempts.end(attempt, reason, **more)
            case AddFinished():
                self._attempts.add(self._trials[slug], self._result(slug))
            case AddMark():
                self._attempts.add_mark(slug)
            case SetAside():
                folder = self._study.folder.trial(slug)
                shutil.rmtree(folder.checkpoints, ignore_errors=True)
                folder.result.replace(folder.failed_result)
            case Tidy():
                self.tidy(slug)

    def _result(self, slug: str) -> AttemptResult:
        result = self._results.read(slug)
        if result is None:
            raise OSError(f"{slug}: its result cannot be read")
        return result

    def _full(self, trial: Trial, result: Outcome) -> TrialResult:
        """Return what is written of a trial that was ended without being run."""
        if isinstance(result, TrialResult):
            return result
        return TrialResult(
            point=trial.values,
            state=result.state,
            attempt=result.attempt,
            threads=self._study.manifest.threads,
            started_at=now(),
            error=result.cause,
            steps=result.steps,
        )

    def tidy(self, slug: str) -> None:
        """Remove the training state of a trial that needs no further attempt; its weights stay."""
        result = self._results.read(slug)
        if result is not None and result.state != "failed" and self._study.is_final(result):
            folder = self._study.folder.trial(slug)
            folder.resume.unlink(missing_ok=True)
            remove_leftovers(folder.root)
