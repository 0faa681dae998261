"""`sweeps baselines`: codes that need no training, scored beside Higgins et al. (2017), figure 6.

They say at once whether metric and data are sound, and what an untrained encoder scores.
`docs/higgins2017_pairs.md` says what is known of the paper's numbers, and where ours come from.
"""

import argparse
import itertools
import json
import math
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import NamedTuple

from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from bvae.data.datasets import DRAWN
from bvae.metrics.protocols import protocol_named
from sweeps.commands.arguments import add_json
from sweeps.scoring.baselines import (
    GROUND_TRUTH,
    ICA_10,
    PCA_10,
    RAW_PIXELS,
    Baseline,
    baselines,
    scored_images,
    untrained,
)
from sweeps.workers.exit_codes import Exit

N_WITHOUT_ENCODER = 4  # ground truth, raw pixels, PCA, ICA
SEPARATE = 2.0  # baselines nearer than so many standard deviations are not told apart

COMPARED = ("dsprites", "higgins2017")
"""Data set and protocol of the paper's figure."""


class Published(NamedTuple):
    """A column of figure 6, left (Higgins et al. 2017), in per cent."""

    score: float
    spread: float | None


PAPER = {
    GROUND_TRUTH: Published(100.0, None),
    PCA_10: Published(84.9, 0.4),
    ICA_10: Published(42.03, 10.6),
    RAW_PIXELS: Published(45.75, 0.8),
    untrained(10): Published(44.14, 2.5),
}


class Reason(NamedTuple):
    """Why a score of ours is not the paper's, for as long as it lies where it lay (per cent)."""

    low: float
    high: float
    text: str


REASONS = {
    PCA_10: Reason(
        85.0,
        87.5,
        "the paper does not say how many pairs L a data point averages; L = 12 is nearest to this "
        "column and to raw pixels together, L = 10 gives 85.0; Adagrad as in the paper, stopped "
        "after 10,000 steps, 84.0",
    ),
    ICA_10: Reason(
        54.0,
        80.0,
        "FastICA has two answers on these images, 78 (8 of 12 seeds) and 56 (3 of 12); the paper's "
        "lies below both. Components as small as old FastICA made them by default, and a "
        "classifier that does not standardise, give 29 ± 8: likely the cause, not proven",
    ),
    RAW_PIXELS: Reason(
        42.0,
        46.0,
        "10,000 points do not determine 4,096 weights for each of four factors, so the penalty "
        "decides, which the paper does not give: 40.4 with C = 1, 44.2 with this protocol's .01, "
        "47.7 with .0001, on one draw",
    ),
}
UNEXPLAINED = "unexplained, and not what it was: look for a mistake in metric or data"
WITHIN = "within the paper's own ±"


def difference(found: Baseline) -> float | None:
    """Return score minus the paper's in points of per cent; None where the paper has none."""
    paper = PAPER.get(found.name)
    return None if paper is None else 100 * found.score - paper.score


def reason(found: Baseline) -> str:
    """Say why a score is not the paper's; empty where the paper has none, or the same."""
    paper, points = PAPER.get(found.name), difference(found)
    if paper is None or points is None or abs(points) < 0.05:
        return ""
    if paper.spread is not None and abs(points) <= paper.spread:
        return f"{WITHIN} {paper.spread:g}"
    known = REASONS.get(found.name)
    if known is None or not known.low <= 100 * found.score <= known.high:
        return UNEXPLAINED
    return known.text


def order(found: Iterable[Baseline]) -> list[str]:
    """Say whether ground truth > PCA > raw pixels > untrained holds, as far as draws can tell."""
    known = {one.name: one for one in found if one.name != ICA_10}
    chain = [known.pop(name) for name in (GROUND_TRUTH, PCA_10, RAW_PIXELS)]
    pairs = [*itertools.pairwise(chain), *((chain[-1], other) for other in known.values())]
    return [_compared(high, low) for high, low in pairs]


def _compared(high: Baseline, low: Baseline) -> str:
    points = 100 * (high.score - low.score)
    noise = 100 * math.hypot(high.noise, low.noise)
    if abs(points) < SEPARATE * noise:
        word = "not told apart"
    else:
        word = "holds" if points > 0 else "DOES NOT HOLD"
    return f"{high.name} > {low.name}: {word} ({points:+.1f} points, noise {noise:.1f})"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `sweeps baselines` takes."""
    parser.add_argument("--data", choices=DRAWN, default="dsprites32", help="default: dsprites32")
    parser.add_argument("--protocol", default="higgins2017", help="default: higgins2017")
    parser.add_argument(
        "--latent-dims",
        type=_latent_dims,
        default=[5, 10],
        metavar="M,M,…",
        help="latent sizes of the untrained encoders; default: 5,10",
    )
    add_json(parser)


def _latent_dims(text: str) -> list[int]:
    parts = text.split(",")
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise argparse.ArgumentTypeError(f"expected latent sizes like 5,10, but got {text!r}")
    return [int(part) for part in parts]


def run(typed: argparse.Namespace) -> int:
    """Print the baselines of a data set beside the paper's."""
    start = time.perf_counter()
    protocol = protocol_named(typed.protocol)
    images = scored_images(typed.data)
    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(typed.data, total=N_WITHOUT_ENCODER + len(typed.latent_dims))
        each = baselines(
            images,
            protocol=protocol,
            latent_dims=typed.latent_dims,
            tell=lambda what: bar.update(task, description=f"{typed.data}: {what}"),
        )
        found = [*bar.track(each, task_id=task)]
    heading = {"data": typed.data, "lattice": images.labels.name, "protocol": protocol.name}
    is_compared = (typed.data, protocol.name) == COMPARED
    if typed.json:
        rows = [_record(one, is_compared=is_compared) for one in found]
        print(
            json.dumps({**heading, "score": "beta_vae", "baselines": rows, "order": order(found)})
        )
    else:
        _print(found, heading, is_compared=is_compared)
        print(f"{time.perf_counter() - start:.0f} s")
    return Exit.COMPLETE


def _record(found: Baseline, *, is_compared: bool) -> dict[str, object]:
    paper = PAPER.get(found.name)
    return asdict(found) | {
        "paper": paper and paper.score / 100,
        "paper_spread": paper and paper.spread and paper.spread / 100,
        "reason": reason(found) if is_compared else "",
    }


def _print(found: Sequence[Baseline], heading: dict[str, str], *, is_compared: bool) -> None:
    console = Console(highlight=False)
    console.print(
        f"β-VAE score of {heading['data']} ({heading['lattice']} images) by {heading['protocol']}"
    )
    console.print(table(found, is_compared=is_compared))
    for line in order(found):
        console.print(f"  {line}", markup=False, soft_wrap=True)
    notes = [f"{one.name}: {reason(one)}" for one in found if reason(one)]
    if not is_compared:
        data, protocol = COMPARED
        notes = [f"No comparison is claimed: the paper's figure is of {data} by {protocol}."]
    for note in notes:
        console.print(Text(note), style="dim")


def table(found: Sequence[Baseline], *, is_compared: bool) -> Table:
    """Return the table: per cent, ± over draws, the paper's, and the difference if compared."""
    made = Table(box=None, pad_edge=False)
    made.add_column("codes")
    for heading in ("score %", "±", "paper %", "±", *(["difference"] if is_compared else [])):
        made.add_column(heading, justify="right")
    made.add_column("± is over")
    for one in found:
        paper, points = PAPER.get(one.name), difference(one)
        cells = [one.name, f"{100 * one.score:.1f}", _percent(one.spread and 100 * one.spread)]
        cells += [_percent(paper and paper.score, 2), _percent(paper and paper.spread)]
        cells += [("" if points is None else f"{points:+.1f}")] if is_compared else []
        made.add_row(*cells, f"{one.n_draws} {one.draws}" if one.spread is not None else "")
    return made


def _percent(value: float | None, digits: int = 1) -> str:
    return "" if value is None else f"{value:.{digits}f}"
