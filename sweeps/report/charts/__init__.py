"""The charts of the report as Vega-Lite specifications: numbers in, plain JSON out.

Every mark of a configuration has its `number`; the mark whose number is the parameter `chosen` is
marked. The layer named `marks` is the one a pointer chooses from.
"""

from sweeps.report.charts.curves import AXES, curve
from sweeps.report.charts.heat_maps import Box, heat_map
from sweeps.report.charts.kl_bars import kl
from sweeps.report.charts.learning_curves import Learnt, learning
from sweeps.report.charts.traces import OF_A_SCORE, Mark, Seed, Trace
from sweeps.report.charts.tradeoffs import tradeoff

__all__ = [
    "AXES",
    "OF_A_SCORE",
    "Box",
    "Learnt",
    "Mark",
    "Seed",
    "Trace",
    "curve",
    "heat_map",
    "kl",
    "learning",
    "tradeoff",
]
