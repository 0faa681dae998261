"""Keeps what is shown here of a study: `python docs/draw.py runs/quick docs/quick`.

Writes into the folder: curve.csv and trials.csv as the study has them, the curve of MIG and of the
Higgins score, the heat map of MIG, and the traversal of the best configuration's best model. Prints
what its README shows: every configuration, means over seeds with their 95 % intervals, the best β
of each latent size by MIG, how many latents, and what becomes of the paper's claims.
"""

import argparse
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from sweeps import load_study
from sweeps.analysis.curve import Curves
from sweeps.analysis.latent_sizes import compare_sizes
from sweeps.analysis.paper_claims import check_claims
from sweeps.analysis.summary import summarize
from sweeps.analysis.verdict import judge_all
from sweeps.commands.best import best
from sweeps.commands.conclude import write_table
from sweeps.labels import NOTHING, span
from sweeps.report.drawings import draw_curve, draw_heat_map
from sweeps.report.page import write_report
from sweeps.report.words import verdict
from sweeps.study.study import Study

SCORES = {"mig": "MIG", "beta_vae": "Higgins score"}


def main() -> None:
    """Keep tables and pictures of a study, and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path)
    parser.add_argument("folder", type=Path)
    typed = parser.parse_args()
    study = load_study(typed.study)
    typed.folder.mkdir(parents=True, exist_ok=True)
    keep(study, typed.folder)
    curve, trials = (pd.read_csv(typed.folder / name) for name in ("curve.csv", "trials.csv"))
    parts = [
        configurations(curve),
        answers(trials),
        [sizes(trials)],
        claims(trials),
        [work(trials)],
    ]
    print("\n\n".join("\n".join(part) for part in parts))


def keep(study: Study, folder: Path) -> None:
    """Copy the tables of a study, and draw its pictures."""
    read = summarize(study)
    write_table(study, read.table)
    write_report(read)
    shutil.copy(study.folder.report / "curve.csv", folder / "curve.csv")
    shutil.copy(study.folder.table, folder / "trials.csv")
    draw_curve(read, folder / "curve.png")
    draw_curve(read, folder / "curve-beta_vae.png", score="beta_vae")
    draw_heat_map(read, folder / "heat_map.png")
    head = best(study, score="mig").headline
    if head is not None:
        media = study.folder.trial(head.model.slug).media
        shutil.copy(media.traversal, folder / "traversal.png")


def configurations(curve: pd.DataFrame) -> Iterator[str]:
    """Yield a row a configuration, with the mean of each score and its interval."""
    yield "| latents | β | " + " | ".join(SCORES.values()) + " | active latents |"
    yield "| --- " * (len(SCORES) + 3) + "|"
    for (latent_dim, beta), found in curve.groupby(["latent_dim", "beta"], sort=True):
        rows = found.set_index("score")
        shown = ["{mean:.2f} ({low:.2f} to {high:.2f})".format(**rows.loc[name]) for name in SCORES]
        active = rows["active_latents"].iloc[0]
        yield f"| {latent_dim} | {beta:g} | " + " | ".join(shown) + f" | {active:.1f} |"


def answers(trials: pd.DataFrame, *, score: str = "mig") -> Iterator[str]:
    """Yield a row a latent size: the best β, its score, what else may be best, and the verdict."""
    yield f"| latents | best β | {SCORES[score]} | best of those tried | curve |"
    yield "| --- " * 5 + "|"
    for found in judge_all(Curves(trials).lines(score), other_scores=list(trials.columns)):
        if found.best is not None:
            mean = "{mean:.3f} ({low:.3f} to {high:.3f})".format(**asdict(found.best))
            held = found.best_range
            among = span(held.low, held.high) if held else NOTHING
            row = [f"{found.latent_dim}", f"{found.best.beta:g}", mean, among, verdict(found)]
            yield f"| {' | '.join(row)} |"


def sizes(trials: pd.DataFrame, *, score: str = "mig") -> str:
    """Say how many latents."""
    return f"How many latents: {compare_sizes(Curves(trials).lines(score)).text}."


def claims(trials: pd.DataFrame, *, score: str = "mig") -> Iterator[str]:
    """Yield the paper's claims, and what the study says of them."""
    for found in check_claims(Curves(trials), score=score, n_factors=5):
        size = "" if found.latent_dim is None else f" ({found.latent_dim} latents)"
        yield f"* {found.claim.capitalize()}{size}: **{found.answer}**; {found.text}."


def work(trials: pd.DataFrame) -> str:
    """Say how many trials there are, and how long they took."""
    done = (trials["state"] == "complete").sum()
    return f"{done} trials, {trials['wall_time_s'].sum() / 60:.1f} minutes of one core's work."


if __name__ == "__main__":
    main()
