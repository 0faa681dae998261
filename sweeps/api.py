"""What notebooks and scripts do with a study: run it, and read it as tables and figures."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from bvae.exceptions import ConfigError
from sweeps.analysis import table
from sweeps.analysis.curve import curve
from sweeps.analysis.summary import summarize
from sweeps.study.study import Study, open_study
from sweeps.workers.exit_codes import INTERRUPTIONS

if TYPE_CHECKING:
    from sweeps.report.vega import Chart

__all__ = ("LoadedStudy", "load_study", "run")


class LoadedStudy(Study):
    """A study as it stands on disk now, with its results as tables and figures."""

    @property
    def score_names(self) -> tuple[str, ...]:
        """Every score that some result holds, the objective first."""
        return table.score_names(self)

    def frame(self) -> pd.DataFrame:
        """Return a row per expected trial: coordinates, state, scores, losses (nats), times (s)."""
        return table.trials_table(self)

    def histories(self) -> pd.DataFrame:
        """Return the learning curves of all trials, a row per trial and logged step.

        Columns are the swept keys, `step`, and those of history.csv: `train/…`, `val/…`, `kl/…`
        (nats), `scores/mig`. A running trial has what is on disk.
        """
        return table.histories(self)

    def curve(self) -> pd.DataFrame:
        """Return the table of curve.csv: mean, interval and seeds by configuration and score."""
        return curve(self.frame(), score_names=self.score_names, axes=self.manifest.axes)

    def figure(self, name: str = "curve", *, score: str | None = None) -> "Chart":
        """Return a chart of the report, which a notebook shows; `save(path)` writes PNG or SVG.

        Args:
            name: "curve", "heat_map" or "tradeoff"; of further axes, the best one's facet.
            score: the objective by default.

        Raises:
            ConfigError: there is no such chart, or no result with this score.
        """
        from sweeps.report.drawings import figure  # vl-convert

        return figure(summarize(self), name, score=score)


def load_study(folder: Path | str) -> LoadedStudy:
    """Open a study for reading, finished or not.

    Raises:
        ConfigError: if the folder holds no study.
    """
    study = open_study(folder)
    return LoadedStudy(study.folder, study.manifest)


def run(arguments: Sequence[str]) -> LoadedStudy:
    """Run a study, or continue it, as `bvae -m` does with these arguments.

    It works in scripts, at the prompt and in notebooks: workers are processes of their own that
    import nothing of the caller's.

    Args:
        arguments: overrides, as in `["experiment=quick", "beta=1,4"]`, and flags of `bvae`.

    Returns:
        The study, also where trials have failed or are left; `counts` says so.

    Raises:
        BvaeError: the study cannot be run as it is asked for, as a `ConfigError` says.
        KeyboardInterrupt: it was interrupted, after what runs was saved.
    """
    from sweeps.commands import hydra_app  # Hydra, which reading a study need not load

    ended = hydra_app.run(["-m", *arguments])
    if ended.code in INTERRUPTIONS:
        raise KeyboardInterrupt
    if ended.root is None:
        raise ConfigError(f"no study was run: {' '.join(arguments)} only shows something")
    return load_study(ended.root)
