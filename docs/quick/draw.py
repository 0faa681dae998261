"""Keeps what the README shows of the quick study: `python docs/quick/draw.py [runs/quick]`.

Copies the study's curve and trials beside this file, draws the picture, and prints the README's
table: the mean of each score over seeds with its 95 % interval.
"""

import shutil
import sys
from pathlib import Path

import pandas as pd

from sweeps import load_study
from sweeps.report.drawings import draw_curve
from sweeps.report.page import write_report
from sweeps.study import Study

HERE = Path(__file__).parent
SCORES = {"mig": "MIG", "beta_vae": "Higgins score"}


def main() -> None:
    """Keep curve, trials and picture of the study, and print the table."""
    study = load_study(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/quick"))
    write_report(study)
    shutil.copy(study.folder.report / "curve.csv", HERE / "curve.csv")
    shutil.copy(study.folder.table, HERE / "trials.csv")
    draw_curve(study, HERE / "curve.png")
    print("\n".join(table(pd.read_csv(HERE / "curve.csv"), study)))


def table(curve: pd.DataFrame, study: Study) -> list[str]:
    """Return the README's table, a row a cell and a column a score."""
    lines = ["| latents | β | " + " | ".join(SCORES.values()) + " | active latents |"]
    lines.append("| --- " * (len(SCORES) + 3) + "|")
    for (latent_dim, beta), cell in curve.groupby(["latent_dim", "beta"], sort=True):
        rows = cell.set_index("score")
        shown = ["{mean:.2f} ({low:.2f} to {high:.2f})".format(**rows.loc[name]) for name in SCORES]
        active = f"{rows['active_latents'].iloc[0]:.1f}"
        lines.append(f"| {latent_dim} | {beta:g} | " + " | ".join(shown) + f" | {active} |")
    seconds = study.frame()["wall_time_s"].sum()
    lines.append(f"\n{len(study.points)} trials, {seconds / 60:.1f} minutes of one core's work.")
    return lines


if __name__ == "__main__":
    main()
