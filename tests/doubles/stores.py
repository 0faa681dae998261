"""The stores of real studies, as schedules use them: a journal or a database, and result files."""

import contextlib
import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

from bvae.trial import TrialResult
from sweeps.queue.attempts import Attempts, store_of
from sweeps.queue.events import Action
from sweeps.queue.states import TrialRecord
from sweeps.queue.store import StudyStore
from sweeps.study.results import Outcome, Results
from sweeps.study.study import Study
from sweeps.study.trials import Trial
from tests.doubles.schedules import SLUGS, Limits
from tests.doubles.studies import CONFIGURATION, make_study, result

TRIALS = {
    slug: Trial.of({"beta": 1 + ord(slug[0]), "latent_dim": 5, "seed": int(slug[1])})
    for slug in SLUGS
}


class OnDisk:
    """A study in a folder; its trials are known to a schedule by shorter names."""

    def __init__(self, root: Path, *, storage: str | None = None) -> None:
        self._root, self._storage = root, storage
        self._study = self._written(Limits())
        store = store_of(self._study)
        with store.exclusive():
            self._attempts = Attempts(store, study_name=self._study.name)

    def _written(self, limits: Limits) -> Study:
        trainer = CONFIGURATION["trainer"] | {"max_steps": limits.steps}
        return make_study(
            self._root,
            [TRIALS[slug] for slug in limits.slugs],
            study_id=hashlib.sha256(str(self._root).encode()).hexdigest(),
            storage=self._storage,
            max_attempts=limits.max_attempts,
            max_deaths=limits.max_deaths,
            base={"threads": 1, "trainer.max_steps": limits.steps},
            compositions={"": CONFIGURATION | {"trainer": trainer}},
        )

    def use(self, limits: Limits) -> None:
        """Write a manifest, and read the study again."""
        self._study = self._written(limits)
        results = Results(self._study.folder, objective="mig")
        self._store = StudyStore(self._attempts, self._study, results)

    @contextlib.contextmanager
    def locked(self):  # type: ignore[no-untyped-def]
        """Hold the study's lock."""
        with self._attempts.store.exclusive():
            yield
            self._attempts.store.remember()

    def get_state(self, slug: str) -> tuple[TrialRecord, object]:
        """Return a trial under its short name."""
        if self._attempts.store.section is None:
            with self.locked():
                return self.get_state(slug)
        record, token = self._store.get_state(TRIALS[slug].slug)
        return replace(record, slug=slug), token

    def set_state(self, slug: str, action: Action, token: object) -> None:
        """Do something to a trial."""
        self._store.set_state(TRIALS[slug].slug, action, token)

    def lose(self) -> None:
        """Remove the journal, or the study's rows."""
        if self._storage is None:
            self._study.folder.journal.unlink()
        else:
            import psycopg

            with psycopg.connect(self._storage) as connection:
                mine = (self._study.manifest.study_id,)
                connection.execute("DELETE FROM bvae_journal WHERE study = %s", mine)
        with self._attempts.store.exclusive():
            assert not self._attempts.is_current()
            self._attempts.open()

    def result(self, slug: str, state: str, attempt: int, steps: int) -> Outcome:
        """Return what a worker would commit."""
        made: TrialResult = result(TRIALS[slug], attempt=attempt, steps=steps)
        return replace(made, state=state)  # type: ignore[arg-type]

    def forget(self, slug: str) -> None:
        """Remove the folder of a trial."""
        shutil.rmtree(self._study.folder.trial(TRIALS[slug].slug).root, ignore_errors=True)
