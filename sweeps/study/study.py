"""A study on disk: its manifest, its results, and the state of every trial.

Reading a study needs neither torch nor Optuna: the result files are the truth.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from bvae.exceptions import ConfigError
from bvae.trial import TrialResult
from sweeps.study.folder import StudyFolder
from sweeps.study.heartbeat import living_workers
from sweeps.study.manifest import Manifest
from sweeps.study.quoting import for_shell
from sweeps.study.results import AttemptResult, is_final
from sweeps.study.trials import Trial


@dataclass(frozen=True)
class Study:
    """A study as it stands on disk now.

    Attributes:
        other_protocol: if given, its scores are those that were added by this protocol.
    """

    folder: StudyFolder
    manifest: Manifest
    other_protocol: str | None = None

    def by(self, protocol: str) -> Self:
        """Return the study with its scores by a protocol: its own, or one it was rescored by.

        Raises:
            ConfigError: no result has scores of that protocol.
        """
        other = None if protocol == self.manifest.protocol else protocol
        found = replace(self, other_protocol=other)
        if other and not any(result.scores for result in found.results.values()):
            words = ["sweeps", "rescore", str(self.folder.root), f"protocol={protocol}"]
            raise ConfigError(
                f"{self.name}: no result has scores of protocol {protocol}; "
                f"`{for_shell(words)}` adds them"
            )
        return found

    @property
    def name(self) -> str:
        """The study's name."""
        return self.manifest.name

    @functools.cached_property
    def trials(self) -> tuple[Trial, ...]:
        """Every expected trial, in the order to run."""
        return tuple(Trial.of(values) for values in self.manifest.trials)

    @functools.cached_property
    def results(self) -> Mapping[str, TrialResult]:
        """The readable results, by slug."""
        found = {
            trial.slug: TrialResult.read(self.folder.trial(trial.slug).result)
            for trial in self.trials
        }
        other = self.other_protocol
        return {
            slug: result if other is None else result.by(other)
            for slug, result in found.items()
            if result is not None
        }

    @functools.cached_property
    def states(self) -> Mapping[str, str]:
        """The state of every trial: complete, failed, pruned, running or pending."""
        busy = {worker.slug for worker in living_workers(self.folder.workers) if worker.slug}
        return {trial.slug: self._state(trial.slug, busy) for trial in self.trials}

    def _state(self, slug: str, busy: set[str]) -> str:
        result = self.results.get(slug)
        if result is not None and self.is_final(result):
            return result.state
        return "running" if slug in busy else "pending"

    def is_final(self, result: TrialResult | AttemptResult) -> bool:
        """Whether the trial needs no further attempt."""
        return is_final(result, self.manifest)

    @property
    def repeats(self) -> int:
        """Seeds that a configuration needs to be best: all in a search, which has them singly."""
        return len(self.manifest.search.seeds) if self.manifest.search else 1

    @property
    def counts(self) -> dict[str, int]:
        """Trials by state; they sum to `expected`, those that a search has yet to find included."""
        states = [*self.states.values(), *["pending"] * self.manifest.unfound]
        names = ("complete", "failed", "pruned", "running", "pending")
        return {"expected": len(states)} | {name: states.count(name) for name in names}

    @property
    def left(self) -> int:
        """How many trials have not ended, those that a search has yet to find included."""
        return self.counts["running"] + self.counts["pending"]

    @property
    def failures(self) -> list[str]:
        """A line for each trial whose last attempt failed, with its reason."""
        most = self.manifest.max_attempts
        lines = []
        for slug, result in self.results.items():
            reason = result.cause or "no reason given"
            if self.states[slug] == "failed":
                lines.append(f"failed {slug}: {reason}")
            elif result.state == "failed":
                lines.append(f"attempt {result.attempt} of {most} at {slug}: {reason}")
        for trial in self.trials:
            path = self.folder.trial(trial.slug).result
            wrong = None if trial.slug in self.results else TrialResult.mistake(path)
            if wrong is not None:
                lines.append(f"{trial.slug}/{path.name} cannot be read, and is replaced: {wrong}")
        return lines

    def trial(self, slug: str) -> Trial:
        """Return the expected trial of this slug."""
        return self._trials_by_slug[slug]

    @functools.cached_property
    def _trials_by_slug(self) -> Mapping[str, Trial]:
        return {trial.slug: trial for trial in self.trials}

    def slug_of(self, part: str) -> str:
        """Return the slug that is named, or the only one with this part in it.

        Raises:
            ConfigError: if none or several are meant.
        """
        if part in self._trials_by_slug:
            return part
        matching = [trial.slug for trial in self.trials if part in trial.slug]
        if len(matching) != 1:
            some = "\n".join(f"  {slug}" for slug in matching[:10] or [self.trials[0].slug, "  …"])
            raise ConfigError(f"{part}: names {len(matching)} trials; expected one, as in\n{some}")
        return matching[0]

    def trial_folder(self, slug: str) -> Path:
        """Return the folder of the trial with this slug, or the only one with this part in it.

        Raises:
            ConfigError: if none or several are meant.
        """
        return self.folder.trial(self.slug_of(slug)).root


def open_study(folder: Path | str) -> Study:
    """Open a study for reading, finished or not.

    Raises:
        ConfigError: if the folder holds no study.
    """
    where = StudyFolder(Path(folder).resolve())
    return Study(where, Manifest.read(where.manifest))
