"""A world without processes, in which anything may happen to a study's trials at any moment.

It drives the rules of the queue and their executor, over any store. What must always hold is
checked after every event; at the end everybody is well again, and every trial must end.
"""

import contextlib
import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from sweeps.queue import events, states
from sweeps.queue.events import Action, End, EndAttempt, Write
from sweeps.queue.states import IllegalEventError, LeaseLostError, State, TrialRecord, applied
from sweeps.queue.store import StaleTokenError, execute
from sweeps.study.heartbeat import Sighting
from sweeps.study.results import AttemptResult, Outcome, is_final
from sweeps.study.timeouts import Timeouts

TIMEOUTS = Timeouts()
SLUGS = ("a0", "a1", "b0")
"""Two seeds of a configuration, and another one."""

OUTCOMES = ("complete", "complete", "failed", "failed", "failed", "pruned")
CAUSES = ("OSError: full", "OutOfMemoryError: 4 GiB")


@dataclass(frozen=True)
class Limits:
    """What a manifest says: which trials there are, and when they have ended."""

    slugs: tuple[str, ...] = SLUGS
    max_attempts: int = 2
    max_deaths: int = 2
    steps: float | None = 10


class Backend(Protocol):
    """A store of trials, as the world uses it."""

    def use(self, manifest: Limits) -> None:
        """Take a manifest that has just been written."""

    def locked(self) -> contextlib.AbstractContextManager[object]:
        """Hold the lock."""

    def get_state(self, slug: str) -> tuple[TrialRecord, object]:
        """As `Store` says."""

    def set_state(self, slug: str, action: Action, token: object) -> None:
        """As `Store` says."""

    def lose(self) -> None:
        """Lose all attempts; results are kept."""

    def result(self, slug: str, state: str, attempt: int, steps: int) -> Outcome:
        """Return what a worker would commit."""

    def forget(self, slug: str) -> None:
        """Lose the folder of a trial."""


class Memory:
    """A store in memory."""

    def __init__(self) -> None:
        self._section: object | None = None
        self._records: dict[str, TrialRecord] = {}

    def use(self, manifest: Limits) -> None:
        """Take a manifest that has just been written."""
        for slug in (*SLUGS, *manifest.slugs):
            record = self._records.get(slug) or TrialRecord(slug, manifest)
            expected = slug in manifest.slugs
            self._records[slug] = replace(record, limits=manifest, is_expected=expected)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock."""
        self._section = object()
        try:
            yield
        finally:
            self._section = None

    def get_state(self, slug: str) -> tuple[TrialRecord, object]:
        """Return a trial, and the token of this section."""
        return self._records[slug], self._section

    def set_state(self, slug: str, action: Action, token: object) -> None:
        """Do to a trial what the action says."""
        if token is None or token is not self._section:
            raise StaleTokenError(slug)
        self._records[slug] = applied(self._records[slug], action)

    def lose(self) -> None:
        """Lose all attempts."""
        self._records = {
            slug: replace(record, attempts=()) for slug, record in self._records.items()
        }

    def result(self, slug: str, state: str, attempt: int, steps: int) -> Outcome:
        """Return what a worker would commit."""
        del slug
        return AttemptResult(state, attempt, steps=steps)  # type: ignore[arg-type]

    def forget(self, slug: str) -> None:
        """Lose the folder of a trial."""
        self._records[slug] = replace(self._records[slug], result=None)


class KilledError(Exception):
    """The process was killed before it was done."""


@dataclass
class Trainer:
    """A process that trains: what it believes, and what others can see of it."""

    name: str
    is_local: bool
    is_alive: bool = True
    is_frozen: bool = False
    beat: int = 0
    slug: str | None = None
    step: int = 0
    attempt: int = 0
    committed: tuple[str, Outcome] | None = None


@dataclass
class Observer:
    """A process that reconciles: when it first saw which beat, by its own clock."""

    clock: float = 0.0
    seen: dict[str, tuple[int, float]] = field(default_factory=dict)


@dataclass
class Truth:
    """What has really happened to a trial since it was last to start anew."""

    failures: int = 0
    final: Outcome | None = None
    ends: list[End] = field(default_factory=list)


class World:
    """A study, its workers, and observers with clocks of their own.

    Every method is one event; those that find nothing to do do nothing.
    """

    def __init__(self, backend: Backend | None = None, manifest: Limits | None = None) -> None:
        self.backend: Backend = backend or Memory()
        self.manifest = manifest or Limits()
        self.backend.use(self.manifest)
        self.workers: list[Trainer] = []
        self._names = itertools.count()
        self.observers = [Observer(), Observer()]
        self.truth = {slug: Truth() for slug in SLUGS}
        self.kill_at: int | None = None
        self.event: events.Event | None = None
        self.fault_is: type[Exception] = KilledError
        self.story: list[object] = []
        self.changed = set(SLUGS)
        self.states: dict[str, State] = {}

    # --- the store that kills -----------------------------------------------------------------

    def get_state(self, slug: str) -> tuple[TrialRecord, object]:
        """Read a trial."""
        return self.backend.get_state(slug)

    def set_state(self, slug: str, action: Action, token: object) -> None:
        """Do something, unless it fails or is killed just before; check what is done."""
        if self.kill_at is not None:
            self.kill_at -= 1
            if self.kill_at < 0:
                self.story.append((self.fault_is.__name__, "before", action))
                raise self.fault_is
        before, _ = self.backend.get_state(slug)
        if isinstance(action, Write):
            self._check_write(before, action.result)
        if isinstance(action, EndAttempt):
            self.truth[slug].ends.append(action.reason)
        self.backend.set_state(slug, action, token)
        self.changed.add(slug)
        self.story.append(("  ", slug, action))

    def _check_write(self, before: TrialRecord, result: Outcome) -> None:
        slug = before.slug
        assert before.is_expected, f"{slug} was dropped, and has a result"
        assert not before.has_final_result, f"{slug} ends a second time"
        truth = self.truth[slug]
        if result.state == "failed" and not isinstance(self.event, events.Commit):
            deaths, faults = truth.ends.count(End.DEATH), truth.ends.count(End.FAULT)
            is_due = deaths >= self.manifest.max_deaths or faults + 1 >= states.MAX_SAME_FAULT
            assert is_due, f"{slug} fails after {deaths} deaths and {faults} faults"
        if result.state == "failed" and result.attempt < self.manifest.max_attempts:
            truth.failures = result.attempt
        if is_final(result, self.manifest):
            truth.final = result

    def _happens(self, slug: str, event: events.Event, now: float = 0.0) -> Sequence[Action]:
        self.story.append((slug, event))
        self.event = event
        with self.backend.locked():
            if isinstance(event, events.Commit | events.Release | events.Fault):
                holds = self.backend.get_state(slug)[0].leased_to(event.worker) is not None
            else:
                holds = True
            actions = execute(self, slug, event, now=now, timeouts=TIMEOUTS)
        assert holds, f"{slug}: an attempt was ended by another worker"
        return actions

    # --- workers ------------------------------------------------------------------------------

    def start(self, *, is_local: bool = True) -> None:
        """A worker begins; there are never more than three."""
        if sum(worker.is_alive for worker in self.workers) < 3:
            self.workers.append(Trainer(f"w{next(self._names)}", is_local))

    def _living(self, number: int) -> Trainer | None:
        alive = [one for one in self.workers if one.is_alive and not one.is_frozen]
        return alive[number % len(alive)] if alive else None

    def _training(self, number: int) -> Trainer | None:
        busy = [w for w in self.workers if w.is_alive and not w.is_frozen and w.slug]
        return busy[number % len(busy)] if busy else None

    def lease(self, number: int) -> None:
        """A worker without a trial takes the next."""
        worker = self._living(number)
        if worker is None or worker.slug is not None:
            return
        with self._as(worker):
            for slug in self.manifest.slugs:
                with self.backend.locked():
                    record, _ = self.backend.get_state(slug)
                    attempt = record.waiting
                if attempt is None:
                    continue
                if record.has_final_result:
                    self._happens(slug, events.Reconcile())
                    continue
                if not self._is_complete(record) and self._has_pruned_seed(slug):
                    self._happens(slug, events.PruneWaiting())
                    continue
                worker.slug, worker.step = slug, 0
                self._happens(slug, events.GrantLease(worker.name))
                leased = self.backend.get_state(slug)[0].leased_to(worker.name)
                assert leased is not None, f"{slug} is not leased"
                assert self.truth[slug].failures + 1 == leased.number, f"{slug}: miscounted"
                worker.attempt = leased.number
                return

    @staticmethod
    def _is_complete(record: TrialRecord) -> bool:
        return record.result is not None and record.result.state == "complete"

    def _has_pruned_seed(self, slug: str) -> bool:
        with self.backend.locked():
            seeds = [self.backend.get_state(one)[0] for one in self.manifest.slugs]
        results = [seed.result for seed in seeds if seed.slug[0] == slug[0]]
        return any(result is not None and result.state == "pruned" for result in results)

    def step(self, number: int) -> None:
        """A worker gets further, and beats."""
        if (worker := self._living(number)) is not None:
            worker.beat += 1
            worker.step += worker.slug is not None

    def commit(self, number: int, outcome: str) -> None:
        """A worker has a result."""
        if (worker := self._training(number)) is None or worker.slug is None:
            return
        slug, steps = worker.slug, int(self.manifest.steps or 0)
        result = self.backend.result(slug, outcome, worker.attempt, steps)
        worker.committed = (slug, result)
        with self._as(worker), self._ending(worker):
            self._happens(slug, events.Commit(worker.name, result))

    def commit_again(self, number: int) -> None:
        """A worker that has committed commits the same once more; nothing may come of it."""
        worker = self._living(number)
        if worker is None or worker.committed is None or worker.slug is not None:
            return
        slug, result = worker.committed
        before, _ = self.backend.get_state(slug)
        with contextlib.suppress(LeaseLostError):
            self._happens(slug, events.Commit(worker.name, result))
            raise AssertionError(f"{slug}: committed twice by {worker.name}")
        assert before == self.backend.get_state(slug)[0]

    def release(self, number: int) -> None:
        """A worker is interrupted."""
        if (worker := self._training(number)) is not None and worker.slug is not None:
            with self._as(worker), self._ending(worker):
                self._happens(worker.slug, events.Release(worker.name))

    def fault(self, number: int, cause: str) -> None:
        """The machine fails a worker."""
        if (worker := self._training(number)) is not None and worker.slug is not None:
            n_complete = sum(
                truth.final is not None and truth.final.state == "complete"
                for truth in self.truth.values()
            )
            with self._as(worker), self._ending(worker):
                self._happens(worker.slug, events.Fault(worker.name, cause, n_complete))

    @contextlib.contextmanager
    def _as(self, worker: Trainer) -> Iterator[None]:
        """Be a worker: where the process is killed, it is dead; else it may try again."""
        try:
            yield
        except KilledError:
            worker.is_alive = False
        except OSError:
            pass
        finally:
            self.kill_at = None

    @contextlib.contextmanager
    def _ending(self, worker: Trainer) -> Iterator[None]:
        """End an attempt: afterwards, or if the lease was lost, the worker has no trial."""
        with contextlib.suppress(LeaseLostError):
            yield
        worker.slug = None

    def die(self, number: int) -> None:
        """A worker is killed."""
        if (worker := self._living(number)) is not None:
            worker.is_alive = False

    def die_in(self, actions: int, *, by: type[Exception] = KilledError) -> None:
        """Whoever acts next is killed, or cannot write, after so many actions."""
        self.kill_at, self.fault_is = actions, by

    def freeze(self, number: int) -> None:
        """A worker stops beating, or all go on that had stopped."""
        if (worker := self._living(number)) is not None:
            worker.is_frozen = True
        else:
            self.thaw()

    def thaw(self) -> None:
        """All that were stopped go on."""
        for worker in self.workers:
            worker.is_frozen = False

    # --- the study ----------------------------------------------------------------------------

    def wait(self, number: int, seconds: float) -> None:
        """The clock of an observer goes on, or jumps; then it looks."""
        self.observers[number % 2].clock += seconds
        self.reconcile(number)

    def _sightings(self, observer: Observer) -> Mapping[str, Sighting]:
        found = {}
        for worker in self.workers:
            beat, since = observer.seen.get(worker.name, (-1, 0.0))
            if beat != worker.beat:
                observer.seen[worker.name] = worker.beat, since = worker.beat, observer.clock
            holds_lock = worker.is_alive or not worker.is_local
            found[worker.name] = Sighting(since, holds_lock, worker.slug, worker.step)
        return found

    def reconcile(self, number: int) -> None:
        """An observer looks after all trials."""
        observer = self.observers[number % 2]
        look = events.Reconcile(self._sightings(observer))
        with contextlib.suppress(KilledError, OSError):
            for slug in SLUGS:
                self._happens(slug, look, observer.clock)
            # as their heartbeats are
            self.workers = [one for one in self.workers if one.is_alive or not one.is_local]
        self.kill_at = None

    def retry(self, number: int) -> None:
        """Somebody queues a failed trial again."""
        failed = [slug for slug in SLUGS if self.states.get(slug) is State.FAILED] or SLUGS
        slug = failed[number % len(failed)]
        try:
            self._happens(slug, events.Retry())
        except IllegalEventError:
            assert State.FAILED is not self.backend.get_state(slug)[0].state
            return
        except (KilledError, OSError):
            pass
        self.kill_at = None
        if self.backend.get_state(slug)[0].result is None:
            self.truth[slug] = Truth()

    def extend(self) -> None:
        """The study is to have more steps."""
        steps = (self.manifest.steps or 0) + 10
        if steps > 30:
            return
        self._use(replace(self.manifest, steps=steps))
        for slug, truth in self.truth.items():
            final = truth.final
            if final is not None and not is_final(final, self.manifest):
                self.truth[slug] = Truth(ends=truth.ends)

    def drop(self, number: int) -> None:
        """A trial leaves the manifest; its folder goes."""
        slug = SLUGS[number % len(SLUGS)]
        if slug not in self.manifest.slugs or len(self.manifest.slugs) == 1:
            return
        left = tuple(one for one in self.manifest.slugs if one != slug)
        self._use(replace(self.manifest, slugs=left))
        with contextlib.suppress(KilledError, OSError):
            self._happens(slug, events.Drop())
        self.kill_at = None
        self.backend.forget(slug)
        self.truth[slug] = Truth()

    def add(self, number: int) -> None:
        """A trial that was dropped is typed again."""
        slug = SLUGS[number % len(SLUGS)]
        if slug not in self.manifest.slugs:
            self._use(replace(self.manifest, slugs=tuple(sorted((*self.manifest.slugs, slug)))))

    def _use(self, manifest: Limits) -> None:
        self.story.append(manifest)
        self.manifest = manifest
        self.backend.use(manifest)
        self.changed.update(SLUGS)

    def lose(self) -> None:
        """The queue is lost; whoever notices rebuilds it from what he sees."""
        self.story.append("the queue is lost")
        self.backend.lose()
        self.reconcile(0)

    # --- what must hold -----------------------------------------------------------------------

    def check(self) -> None:
        """Check what must hold at any moment, of the trials that were changed."""
        changed, self.changed = self.changed, set()
        for slug in changed:
            record, _ = self.backend.get_state(slug)
            holding = [w.name for w in self.workers if record.leased_to(w.name) and w.slug == slug]
            assert len(holding) <= 1, f"{slug} is leased to {holding}"
            waiting = [one for one in record.unfinished if one.state is State.WAITING]
            assert len(waiting) <= 1, f"{slug} waits twice"
            if (final := self.truth[slug].final) is not None and record.is_expected:
                assert record.result is not None, f"{slug} has lost its result"
                assert (final.state, final.attempt) == (record.result.state, record.result.attempt)
            self.states[slug] = record.state
        dropped = sum(state is State.DROPPED for state in self.states.values())
        assert len(self.manifest.slugs) + dropped == len(SLUGS), "counts do not sum"

    def end(self) -> None:
        """Let everybody be well: every trial ends, and the queue agrees with the results."""
        self.kill_at = None
        for worker in self.workers:
            worker.is_alive = worker.is_frozen = False
        for observer in self.observers:
            self._sightings(observer)
            observer.clock += TIMEOUTS.heartbeat_lost
        self.start()
        self.reconcile(0)
        for _ in range(3 * len(SLUGS)):
            self.lease(0)
            self.commit(0, "complete")
            self.check()
        self.reconcile(0)
        self.check()
        for slug in self.manifest.slugs:
            record, _ = self.backend.get_state(slug)
            assert record.state.has_ended, f"{slug} is lost: {record.state}"
            assert not record.unfinished, f"{slug} has ended, and is in the queue"
            assert record.state in {attempt.state for attempt in record.attempts}


EVENTS = (
    *["lease"] * 6,
    *["step"] * 4,
    *["commit"] * 4,
    *["reconcile"] * 4,
    *["start"] * 2,
    *["die_in"] * 3,
    *["wait"] * 3,
    "commit_again",
    "release",
    "fault",
    "fault",
    "die",
    "freeze",
    "thaw",
    *["retry"] * 2,
    "extend",
    "drop",
    *["add"] * 2,
    "lose",
)
"""The names of the events, as often as they are to come."""


def arguments(event: str, chance: random.Random) -> tuple[list[Any], dict[str, Any]]:
    """Return what an event happens with."""
    number = chance.getrandbits(4)
    match event:
        case "commit":
            return [number, chance.choice(OUTCOMES)], {}
        case "fault":
            return [number, chance.choice(CAUSES)], {}
        case "wait":
            return [number, chance.choice((1.0, 100.0))], {}
        case "start":
            return [], {"is_local": chance.random() < 0.5}
        case "die_in":
            return [chance.randrange(4)], {"by": chance.choice((KilledError, OSError))}
        case "thaw" | "extend" | "lose":
            return [], {}
    return [number], {}


def run(seed: int, backend: Backend | None = None, *, length: int = 20) -> World:
    """Let this many random events happen, and everything come to its end.

    Raises:
        AssertionError: something did not hold; the message tells what has happened.
    """
    chance = random.Random(seed)
    limits = Limits(max_attempts=chance.randint(1, 3), max_deaths=chance.randint(1, 3))
    world = World(backend, limits)
    world.reconcile(0)
    world.start(is_local=False)
    world.start()
    try:
        for event in chance.choices(EVENTS, k=length):
            given, named = arguments(event, chance)
            getattr(world, event)(*given, **named)
            world.check()
        world.end()
    except (AssertionError, IllegalEventError, StopIteration) as error:
        raise AssertionError(
            "\n".join([f"seed {seed}: {error}", *map(str, world.story)])
        ) from error
    return world
