"""A study on disk: its manifest, its results, and the state of every trial.

Reading a study needs neither torch nor Optuna: the result files are the truth.
"""

import functools
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bvae.beta_norm import beta_norm
from bvae.exceptions import ConfigError
from bvae.trial import TrialResult
from sweeps.study.folder import StudyFolder
from sweeps.study.heartbeat import living_workers
from sweeps.study.manifest import Manifest
from sweeps.study.results import AttemptResult, is_final
from sweeps.study.trials import Trial

if TYPE_CHECKING:
    import pandas as pd

    from sweeps.report.canvas import Chart

UDR_SCHEMA = 1
"""Version of `udr.json`; it is computed anew where another one stands."""


@dataclass(frozen=True)
class Study:
    """A study as it stands on disk now."""

    folder: StudyFolder
    manifest: Manifest

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
        return {slug: result for slug, result in found.items() if result is not None}

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
        return len(self.manifest.search["seeds"]) if self.manifest.search else 1

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
        return lines

    @functools.cached_property
    def score_names(self) -> tuple[str, ...]:
        """Every score that some result holds, and UDR if it is known, the objective first."""
        names = {name for result in self.results.values() for name in result.scores}
        names |= {name for scores in self.agreement.values() for name in scores}
        return tuple(sorted(names, key=lambda name: (name != self.manifest.objective, name)))

    @functools.cached_property
    def agreement(self) -> Mapping[str, Mapping[str, float]]:
        """UDR of the trials whose cell has other seeds, by slug, as `scoring.udr` left it."""
        try:
            content = json.loads(self.folder.udr.read_text("utf-8"))
            cells = content["cells"] if content["schema"] == UDR_SCHEMA else []
            return {slug: scores for cell in cells for slug, scores in cell["scores"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}

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

    def result(self, slug: str) -> TrialResult | None:
        """Return the result of one trial, if there is one."""
        return self.results.get(slug)

    def trial_folder(self, slug: str) -> Path:
        """Return the folder of the trial with this slug, or the only one with this part in it.

        Raises:
            ConfigError: if none or several are meant.
        """
        return self.folder.trial(self.slug_of(slug)).root

    def frame(self) -> "pd.DataFrame":
        """Return a row per expected trial: coordinates, state, scores, losses (nats), times (s)."""
        import pandas as pd  # 0.5 s, which `status` need not pay

        return pd.DataFrame([self._row(trial) for trial in self.trials])

    def ended(self) -> "pd.DataFrame":
        """Return the rows of `frame()` that answers go by: those of trials that have ended.

        Best configurations, verdicts, claims and flags speak of these trials, so that until the
        end they agree. Seeds run one after the other: few configurations have all of theirs then.
        """
        from sweeps.analysis.curve import ended

        return ended(self.frame())

    def curve(self) -> "pd.DataFrame":
        """Return the table of curve.csv: mean, interval and seeds of every cell and score."""
        from sweeps.analysis.curve import curve

        return curve(self.frame(), score_names=self.score_names, axes=self.manifest.axes)

    def figure(self, name: str = "curve", *, score: str | None = None) -> "Chart":
        """Return a chart of the report as a matplotlib figure, which a notebook shows.

        Args:
            name: "curve", "heat_map" or "tradeoff"; of further axes, the best cell's facet.
            score: the objective by default.

        Raises:
            ConfigError: there is no such chart, or no result with this score.
        """
        from sweeps.report.drawings import figure  # matplotlib

        return figure(self, name, score=score)

    def _image_size(self, trial: Trial, result: TrialResult | None) -> int:
        """N of a trial's images, which differs between trials where their data are swept."""
        if result is not None and result.data:
            return math.prod(result.data["image_shape"])
        if "data" not in self.manifest.axes:
            return self.manifest.image_size
        from bvae.data.datasets import DRAWN, describe

        name = str(trial.values["data"])
        return math.prod(describe(name).image_shape) if name in DRAWN else self.manifest.image_size

    def _row(self, trial: Trial) -> dict[str, object]:
        values = trial.values
        result = self.results.get(trial.slug)
        row: dict[str, object] = {"slug": trial.slug, **values, "state": self.states[trial.slug]}
        if self.manifest.search:
            row["repeats"] = self.repeats
        row["beta"] = beta = float(str(values["beta"]))
        norm = beta_norm(
            beta,
            latent_dim=int(str(values["latent_dim"])),
            image_size=self._image_size(trial, result),
        )
        row["beta_norm"] = float(f"{norm:.12g}")
        final = result if result is not None and self.is_final(result) else None
        scores = {**final.scores, **self.agreement.get(trial.slug, {})} if final else {}
        row |= {name: scores.get(name) for name in self.score_names}
        row |= {name: final.losses.get(name) if final else None for name in ("recon", "kl", "loss")}
        for name in (
            "active_latents",
            "images_seen",
            "loss_change",
            "wall_time_s",
            "attempt",
            "device",
            "threads",
        ):
            row[name] = getattr(final, name) if final else None
        # Not the manifest's: a rescore killed half-way leaves both, and the curve must show it.
        row["protocol"] = (final.scoring if final else {}).get("protocol", self.manifest.protocol)
        row["error"] = result.cause if result else None
        return row


def load_study(folder: Path | str) -> Study:
    """Open a study for reading, finished or not.

    Raises:
        ConfigError: if the folder holds no study.
    """
    where = StudyFolder(Path(folder).resolve())
    return Study(where, Manifest.read(where.manifest))
