"""How a study stands when the command that ran it ends: tables, report, and what to say."""

import math

from bvae.files import write_atomically
from sweeps.curve import Cell, best_cells
from sweeps.display import Display, shown
from sweeps.exits import Exit
from sweeps.study import Study, load_study


def conclude(study: Study, display: Display, code: Exit) -> None:
    """Write trials.csv and the report; say how it ended, what is best, where the report is."""
    study = load_study(study.folder.root)
    write_table(study)
    counts = study.counts
    summary = [f"{counts['complete']} of {counts['expected']} points complete"]
    summary += [f"{counts[name]} {name}" for name in ("failed", "pruned") if counts[name]]
    display.say(", ".join(summary))
    for line in study.failures:
        display.say(f"  {line}")
    if counts["running"] + counts["pending"]:
        display.say("type the same command again to go on")
    if code is Exit.INTERRUPTED:  # who interrupts does not wait for drawings
        return
    from sweeps.report.page import write_report  # matplotlib, which `sweeps best` does not need

    display.say(best_line(study))
    display.say(f"report: {shown(write_report(study))}")


def write_table(study: Study) -> None:
    """Write trials.csv, a row per point."""
    write_atomically(study.folder.table, study.frame().to_csv(index=False))


def best_line(study: Study) -> str:
    """Say which cell is best; only one whose seeds are all complete can be."""
    objective = study.manifest.objective
    if objective not in study.score_names:
        return f"no best cell: no point has the score {objective} yet"
    best = best_cells(study.frame(), score=objective, axes=study.manifest.axes).overall
    return "no best cell: none is complete yet" if best is None else f"best: {described(best)}"


def described(cell: Cell) -> str:
    """Say a cell in one line: coordinates, mean of the score, interval and seeds."""
    where = [f"beta={cell.beta:g}", f"latent_dim={cell.latent_dim}"]
    where += [f"{name}={value}" for name, value in cell.axes]
    how_sure = f"{cell.n} seeds"
    if math.isfinite(cell.low):
        how_sure = f"95 % interval {cell.low:.3f} to {cell.high:.3f}, {how_sure}"
    elif cell.n == 1:
        how_sure = "one seed: no interval"
    return f"{' '.join(where)}  {cell.score} {cell.mean:.3f} ({how_sure})"
