"""What notebooks and scripts read of a study: its results as tables and figures, without torch."""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from sweeps.analysis import table
from sweeps.analysis.curve import curve
from sweeps.analysis.summary import summarize
from sweeps.study.study import Study, open_study

if TYPE_CHECKING:
    from sweeps.report.canvas import Chart

__all__ = ("LoadedStudy", "load_study")


class LoadedStudy(Study):
    """A study as it stands on disk now, with its results as tables and figures."""

    @property
    def score_names(self) -> tuple[str, ...]:
        """Every score that some result holds, the objective first."""
        return table.score_names(self)

    def frame(self) -> pd.DataFrame:
        """Return a row per expected trial: coordinates, state, scores, losses (nats), times (s)."""
        return table.trials_table(self)

    def curve(self) -> pd.DataFrame:
        """Return the table of curve.csv: mean, interval and seeds by configuration and score."""
        return curve(self.frame(), score_names=self.score_names, axes=self.manifest.axes)

    def figure(self, name: str = "curve", *, score: str | None = None) -> "Chart":
        """Return a chart of the report as a matplotlib figure, which a notebook shows.

        Args:
            name: "curve", "heat_map" or "tradeoff"; of further axes, the best one's facet.
            score: the objective by default.

        Raises:
            ConfigError: there is no such chart, or no result with this score.
        """
        from sweeps.report.drawings import figure  # matplotlib

        return figure(summarize(self), name, score=score)


def load_study(folder: Path | str) -> LoadedStudy:
    """Open a study for reading, finished or not.

    Raises:
        ConfigError: if the folder holds no study.
    """
    study = open_study(folder)
    return LoadedStudy(study.folder, study.manifest)
