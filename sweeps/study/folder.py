"""Where everything of a study is on disk."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from os.path import lexists
from pathlib import Path

from bvae.trial import TrialFolder, WandbFolder


@dataclass(frozen=True)
class StudyFolder:
    """Every file of a study, by name."""

    root: Path

    @property
    def name(self) -> str:
        """The study's name is its folder's."""
        return self.root.name

    @property
    def manifest(self) -> Path:
        """What the study consists of."""
        return self.root / "manifest.json"

    @property
    def base(self) -> Path:
        """The configuration all trials share."""
        return self.root / "base.yaml"

    @property
    def journal(self) -> Path:
        """Optuna's record: the queue, the sampler's memory; rebuilt from results when lost."""
        return self.root / "study.journal"

    @property
    def logs(self) -> Path:
        """A log file per worker."""
        return self.root / "logs"

    @property
    def orchestrator_log(self) -> Path:
        """The log of the commands that ran the study."""
        return self.logs / "orchestrator.log"

    def worker_log(self, worker: str) -> Path:
        """The log of a worker."""
        return self.logs / f"{worker}.log"

    @property
    def workers(self) -> Path:
        """A heartbeat file per worker, locked while the worker lives."""
        return self.root / "workers"

    def heartbeat(self, worker: str) -> Path:
        """The heartbeat file of a worker."""
        return heartbeat_file(self.workers, worker)

    @property
    def orchestrator(self) -> Path:
        """Heartbeat file of the command that runs the study."""
        return self.root / "orchestrator.json"

    @property
    def guard(self) -> Path:
        """Lock around leases, commits and reconciliations."""
        return self.workers / "guard.lock"

    @property
    def stop(self) -> Path:
        """If it exists, every worker saves its state and stops."""
        return self.root / "stop"

    @property
    def table(self) -> Path:
        """A row per trial."""
        return self.root / "trials.csv"

    @property
    def untrained(self) -> Path:
        """What untrained encoders score."""
        return self.root / "floors.json"

    @property
    def udr(self) -> Path:
        """How well the seeds of each configuration agree; `sweeps.scoring.udr` keeps it."""
        return self.root / "udr.json"

    @property
    def report(self) -> Path:
        """The report's folder."""
        return self.root / "report"

    @property
    def page(self) -> Path:
        """The report's page."""
        return self.report / "index.html"

    @property
    def curve(self) -> Path:
        """Mean and interval of every score of every configuration."""
        return self.report / "curve.csv"

    def curve_by(self, protocol: str) -> Path:
        """The same of the scores that were added by another protocol."""
        return self.report / f"curve-{protocol}.csv"

    def comparison(self, other: str) -> Path:
        """The page that compares another study, by name, with this one."""
        return self.report / f"against-{other}.html"

    def chart(self, name: str) -> Path:
        """A chart as the study's run on W&B shows it."""
        return self.report / f"{name}.png"

    @property
    def confirming(self) -> "StudyFolder":
        """The study of the best configuration and its neighbours on fresh seeds."""
        return StudyFolder(self.root.with_name(f"{self.name}-confirm"))

    @property
    def longer(self) -> "StudyFolder":
        """The study of the best configuration and its neighbours, trained for longer."""
        return StudyFolder(self.root.with_name(f"{self.name}-longer"))

    @property
    def wandb(self) -> Path:
        """All that wandb writes: a folder for each attempt at a trial."""
        return WandbFolder(self.root).root

    @property
    def wandb_logs(self) -> Path:
        """What wandb's own command logs while it uploads."""
        return WandbFolder(self.root).cache

    @property
    def wandb_unreadable(self) -> Path:
        """Folders of attempts whose records cannot be read, and are not uploaded."""
        return self.wandb / "unreadable"

    @property
    def wandb_unfinished(self) -> Path:
        """Where runs of trials that had none are made."""
        return self.wandb / "unfinished"

    def workspace(self, ids: str) -> Path:
        """What is known of the workspace of some studies, by the first digits of their ids."""
        return self.wandb / f"workspace-{ids}.json"

    @property
    def trials(self) -> Path:
        """A folder per trial that was begun."""
        return self.root / "trials"

    @property
    def trash(self) -> Path:
        """The folders of trials that were dropped."""
        return self.root / "trash"

    def discard(self, slug: str) -> Path:
        """Move a trial's folder to the trash, beside those of that name; return where it is."""
        self.trash.mkdir(exist_ok=True)
        names = itertools.chain([slug], (f"{slug}.{number}" for number in itertools.count(2)))
        place = next(path for name in names if not lexists(path := self.trash / name))
        return self.trial(slug).root.replace(place)

    def trial(self, slug: str) -> TrialFolder:
        """The folder of one trial."""
        return TrialFolder(self.trials / slug)


def studies_in(runs: Path) -> list[StudyFolder]:
    """Return the studies of a folder, by name."""
    return sorted(
        (StudyFolder(path.parent) for path in runs.glob("*/manifest.json")),
        key=lambda folder: folder.root,
    )


def comparison_in(runs: Path) -> Path:
    """Return the page that compares more than two studies of a folder."""
    return runs / "comparison.html"


def journal_lock(journal: Path) -> Path:
    """Return the lock that whoever reads or writes a journal holds."""
    return journal.with_name(f"{journal.name}.lock")


def damaged_journal(journal: Path) -> Path:
    """Return where a journal that cannot be read is kept; nothing is there yet."""
    number = 1
    while (path := journal.with_name(f"{journal.name}.damaged-{number}")).exists():
        number += 1
    return path


def heartbeat_files(workers: Path) -> Iterator[Path]:
    """Return every heartbeat file in the folder of all workers' heartbeats."""
    return workers.glob("*.json")


def heartbeat_file(workers: Path, name: str) -> Path:
    """Return where a worker writes its heartbeat, of the folder of all workers' heartbeats."""
    return workers / f"{name}.json"
