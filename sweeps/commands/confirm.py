"""`sweeps confirm`: the best β and both its neighbours on fresh seeds, as a study of its own.

The seeds that chose a best β flatter it: noise helped to choose. What it scores on seeds that had
no say, and whether it still beats its neighbours there, is what can be relied on.
"""

import argparse
import math
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import pandas as pd
from scipy import stats

from bvae.exceptions import ConfigError
from bvae.trial import now
from sweeps.analysis.curve import CONFIDENCE, Cell, Line, best_cells, cell, lines
from sweeps.commands.arguments import add_study
from sweeps.labels import shown
from sweeps.statistics.contrasts import differences, residual_noise
from sweeps.study.command import as_grid, sweep, words
from sweeps.study.study import Study, StudyFolder, load_study
from sweeps.study.trials import Trial, Value, in_order, text
from sweeps.workers.exit_codes import Exit

ENDING = "-confirm"
MIN_SEEDS = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `sweeps confirm` takes."""
    add_study(parser)
    parser.add_argument("--dry-run", action="store_true", help="print the command, train nothing")


def run(typed: argparse.Namespace) -> int:
    """Train the best β and its neighbours on fresh seeds, and say whether they agree."""
    return confirm(load_study(typed.study), dry_run=typed.dry_run)


class Answer(StrEnum):
    """Whether the best β beats both neighbours on fresh seeds."""

    CONFIRMED = "confirmed"
    NOT_RESOLVED = "not resolved"
    REFUTED = "refuted"


@dataclass(frozen=True)
class Request:
    """What is to be trained: the best configuration and its neighbours on fresh seeds."""

    best: Cell
    betas: tuple[float, ...]
    seeds: tuple[int, ...]

    @property
    def trials(self) -> list[Trial]:
        """Every trial, in the order to run."""
        shared = {"latent_dim": self.best.latent_dim, **dict(self.best.axes)}
        return in_order(
            Trial.of({"beta": beta, "seed": seed, **shared})
            for seed in self.seeds
            for beta in self.betas
        )


@dataclass(frozen=True)
class Gap:
    """How far the best β lies above a neighbour on fresh seeds, with its 95 % interval."""

    beta: float
    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Confirmation:
    """The best configuration by the seeds that chose it and by fresh ones, and its neighbours."""

    chosen: Cell
    fresh: Cell
    gaps: tuple[Gap, ...]

    @property
    def answer(self) -> Answer:
        """Whether it holds: every gap above 0, or one of them below."""
        if any(gap.high < 0 for gap in self.gaps):
            return Answer.REFUTED
        holds = bool(self.gaps) and all(gap.low > 0 for gap in self.gaps)
        return Answer.CONFIRMED if holds else Answer.NOT_RESOLVED

    def __str__(self) -> str:
        """Say both means, and what the best β is above its neighbours."""
        seeds = f"{self.fresh.n} fresh seeds"
        above = ", ".join(
            f"{gap.mean:+.3f} over beta={gap.beta:g} ({gap.low:+.3f} to {gap.high:+.3f})"
            for gap in self.gaps
            if math.isfinite(gap.mean)
        )
        return (
            f"beta={self.chosen.beta:g} latent_dim={self.chosen.latent_dim} on {seeds}: "
            f"{self.chosen.score} {self.fresh.mean:.3f} (95 % interval {self.fresh.low:.3f} to "
            f"{self.fresh.high:.3f}), on the seeds that chose it {self.chosen.mean:.3f}; "
            f"best above its neighbours: {self.answer}: {above or 'none is trained'}"
        )


def confirm(study: Study, *, dry_run: bool = False) -> int:
    """Train what is wanted by the command that is printed, and say whether it agrees.

    Returns:
        The command's exit code; of a dry run, which only prints the command, 0.

    Raises:
        ConfigError: the study has no best configuration.
    """
    wanted = requested(study)
    command = command_of(study, wanted)
    print(command, flush=True)
    if dry_run:
        return 0
    prepare(study, wanted, command)
    code = typed_in(command)
    if code == Exit.USAGE:
        return code
    found = confirmation(study)
    if found is None:
        print("nothing to compare yet")
        return code
    from sweeps.report.page import write_report  # matplotlib, which a dry run does not need

    print(found)
    print(f"report: {shown(write_report(study))}")
    return code


def requested(study: Study) -> Request:
    """Return what confirms a study: its best configuration and its neighbours.

    As many fresh seeds as the study has, at least three. The best goes by the trials that have
    ended, as every answer; its neighbours are those of the whole grid, ended or not.

    Raises:
        ConfigError: no configuration of the study is complete.
    """
    objective, axes = study.manifest.objective, study.manifest.axes
    if objective not in study.score_names or study.counts["complete"] == 0:
        raise ConfigError(
            f"{study.name}: no trial has the score {objective} yet; continue with: "
            f"{study.manifest.command}"
        )
    best = best_cells(study.ended(), score=objective, axes=axes).overall
    if best is None:
        raise ConfigError(
            f"{study.name}: no configuration is complete, so none is best; continue with: "
            f"{study.manifest.command}"
        )
    line = _line_of(study.frame(), best)
    at = None if line is None else _index_of(line, best)
    if line is None or at is None:
        raise TypeError(f"expected a line through {best}")  # it was found on one
    betas = tuple(line.betas[max(at - 1, 0) : at + 2].tolist())
    first = 1 + max(int(str(trial.values["seed"])) for trial in study.trials)
    n_seeds = max(MIN_SEEDS, len(line.seeds))
    return Request(best, betas, tuple(range(first, first + n_seeds)))


def command_of(study: Study, wanted: Request) -> str:
    """Return the study's command for the wanted trials, with the study's launcher."""
    values: dict[str, list[Value]] = {
        "beta": list(wanted.betas),
        "latent_dim": [wanted.best.latent_dim],
        "seed": list(wanted.seeds),
        **{key: [value] for key, value in wanted.best.axes},
        "study": [folder_of(study).name],
        "runs_dir": [str(study.folder.root.parent)],
    }
    written = {key: [text(one) for one in given] for key, given in values.items()}
    return sweep(study.manifest.command, values={**written, **as_grid(study.manifest)})


def folder_of(study: Study) -> StudyFolder:
    """Return where the study is that confirms this one."""
    root = study.folder.root
    return StudyFolder(root.with_name(root.name + ENDING))


def prepare(study: Study, wanted: Request, command: str) -> None:
    """Put the confirming study on disk with the base and the sources of the one it confirms.

    The command then continues it, and refuses to if it would train anything else.
    """
    from sweeps.plan.plan import write_manifest

    folder = folder_of(study)
    if folder.manifest.exists():
        return
    made = replace(
        study.manifest,
        study_id=uuid.uuid4().hex,
        name=folder.name,
        trials=[trial.values for trial in wanted.trials],
        search=None,
        command=command,
        created_at=now(),
    )
    write_manifest(folder, made)


def typed_in(command: str) -> int:
    """Type a `bvae` command in this process; return its exit code."""
    from bvae.__main__ import main

    before = sys.argv
    sys.argv = ["bvae", *words(command)]
    try:
        main()
    except SystemExit as ended:
        return int(ended.code or 0)
    finally:
        sys.argv = before
    return 0


def confirmation(study: Study) -> Confirmation | None:
    """Return what fresh seeds say of a study's best configuration, None before they are there."""
    try:
        wanted, fresh = requested(study), load_study(folder_of(study).root)
    except ConfigError:  # nothing is best, or nothing was asked for
        return None
    if wanted.best.score not in fresh.score_names:
        return None
    frame = fresh.frame()
    frame = frame[frame["beta"].isin(wanted.betas) & frame["seed"].isin(wanted.seeds)]
    line = _line_of(frame, wanted.best)
    at = None if line is None else _index_of(line, wanted.best)
    if line is None or at is None or not line.complete[at]:
        return None
    return Confirmation(wanted.best, cell(line, at), tuple(gaps(line, at)))


def gaps(line: Line, at: int) -> Iterator[Gap]:
    """Yield how far cell number `at` lies above every other, over the seeds both have.

    Mean ± t·se of the paired differences, their variance pooled over the cells that have not
    collapsed, as everywhere. The cells were chosen by other seeds, so nothing is paid for choosing.
    """
    open_cells = ~line.collapsed
    members = open_cells if open_cells.sum() > 1 else np.ones_like(open_cells)
    noise = residual_noise(line.values, members=members)
    mean, error = differences(line.values, noise, end=at)
    t = float(stats.t.ppf(0.5 + CONFIDENCE / 2, noise.df)) if noise.df > 0 else math.nan
    for i in range(len(line.betas)):
        if i != at:
            gap, half = -float(mean[i]), t * float(error[i])
            yield Gap(float(line.betas[i]), gap, gap - half, gap + half)


def _line_of(frame: pd.DataFrame, best: Cell) -> Line | None:
    found = lines(frame, score_names=[best.score], axes=[axis for axis, _ in best.axes])
    own = (best.axes, best.latent_dim)
    return next((line for line in found if (line.axes, line.latent_dim) == own), None)


def _index_of(line: Line, best: Cell) -> int | None:
    return next((i for i, beta in enumerate(line.betas) if beta == best.beta), None)
