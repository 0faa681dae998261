"""Keeps what README.md here shows: `python docs/objectives/compare.py STUDY …`.

Writes trials.csv (every trial of the studies), draws curve.png, and prints the tables: every
configuration, and the best of each objective beside the best β-VAE, with 95 % intervals. Without
arguments it prints the tables of the file that is kept.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from sweeps import load_study
from sweeps.report.vega import Chart, Spec
from sweeps.statistics.intervals import intervals
from sweeps.study.ranking import MIN_ACTIVE

HERE = Path(__file__).parent
LATENT_DIM = 10
SCORES = {
    "mig": "MIG",
    "beta_vae": "Higgins score",
    "factor_vae": "FactorVAE score",
    "sap": "SAP",
}
LABELS = {
    "beta_vae": "β-VAE, β",
    "beta_tcvae": "β-TCVAE, β",
    "factor_vae": "FactorVAE, γ",
    "dip_vae_i": "DIP-VAE I, λ_od",
    "dip_vae_ii": "DIP-VAE II, λ_od",
    "annealed_vae": "AnnealedVAE (γ = 1000), C in nats",
}


def main() -> None:
    """Keep the trials of the studies that are named, and print the tables."""
    if len(sys.argv) > 1:
        frames = [load_study(path).frame() for path in sys.argv[1:]]
        pd.concat([_named(frame) for frame in frames]).to_csv(HERE / "trials.csv", index=False)
    trials = pd.read_csv(HERE / "trials.csv")
    if len(sys.argv) > 1:
        draw(trials)
    print("\n".join(configurations(trials)))
    print()
    print("\n".join(best(trials)))


def _named(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the complete trials with an objective and a strength: β, or the capacity."""
    frame = frame[(frame["state"] == "complete") & (frame["latent_dim"] == LATENT_DIM)].copy()
    if "loss" not in frame:
        frame["loss"] = "annealed_vae" if "loss.c_max" in frame else "beta_vae"
    frame["strength"] = frame.get("loss.c_max", frame["beta"])
    columns = ["loss", "strength", "seed", *SCORES, "recon", "kl", "active_latents", "wall_time_s"]
    return frame[columns]


def tables(trials: pd.DataFrame, score: str) -> Iterator[tuple[str, list[float], np.ndarray]]:
    """Yield each objective, its strengths, and a score by strength and seed."""
    for loss in LABELS:
        table = trials[trials["loss"] == loss].pivot(index="strength", columns="seed", values=score)
        if len(table):
            yield loss, list(table.index), table.to_numpy()


def configurations(trials: pd.DataFrame) -> Iterator[str]:
    """Yield a row a configuration: means with intervals pooled over an objective's strengths."""
    yield "| objective and its strength | " + " | ".join(SCORES.values()) + " | recon | active |"
    yield "| --- " * (len(SCORES) + 3) + "|"
    cells: dict[tuple[str, float], list[str]] = {}
    for score in SCORES:
        for loss, strengths, values in tables(trials, score):
            active = trials[trials["loss"] == loss].groupby("strength")["active_latents"].mean()
            ends = intervals(values, collapsed=(active < MIN_ACTIVE).to_numpy())
            for strength, mean, low, high in zip(strengths, *ends, strict=True):
                cell = f"{mean:.2f} ({low:.2f} to {high:.2f})"
                cells.setdefault((loss, strength), []).append(cell)
    means = trials.groupby(["loss", "strength"])[["recon", "active_latents"]].mean()
    for (loss, strength), row in cells.items():
        recon, active = means.loc[(loss, strength)]
        shown = " | ".join(row)
        yield f"| {LABELS[loss]} = {strength:g} | {shown} | {recon:.1f} | {active:.1f} |"


def best(trials: pd.DataFrame) -> Iterator[str]:
    """Yield the best strength of each objective, and how far it is from the best β-VAE.

    The interval of the difference is Welch's, of configurations that were chosen as the best.
    """
    yield "| score | objective | best at | mean | minus the best β-VAE |"
    yield "| --- | --- | --- | --- | --- |"
    for score, label in SCORES.items():
        found = {loss: _best(at, values) for loss, at, values in tables(trials, score)}
        _, ours = found["beta_vae"]
        for loss, (strength, values) in found.items():
            gap = "" if loss == "beta_vae" else _gap(values, ours)
            name = LABELS[loss].partition(",")[0]
            yield f"| {label} | {name} | {strength:g} | {values.mean():.2f} | {gap} |"


def _best(strengths: list[float], values: np.ndarray) -> tuple[float, np.ndarray]:
    at = int(values.mean(axis=1).argmax())
    return strengths[at], values[at]


def _gap(values: np.ndarray, others: np.ndarray) -> str:
    test = stats.ttest_ind(values, others, equal_var=False).confidence_interval()
    return f"{values.mean() - others.mean():+.2f} ({test.low:+.2f} to {test.high:+.2f})"


def draw(trials: pd.DataFrame) -> None:
    """Draw MIG against each objective's strength: seeds as dots, the mean as a line."""
    panels = [
        _panel(loss, strengths, values, first=at == 0)
        for at, (loss, strengths, values) in enumerate(tables(trials, "mig"))
    ]
    Chart({"hconcat": panels, "resolve": {"scale": {"y": "shared"}}}).save(HERE / "curve.png")


def _panel(loss: str, strengths: list[float], values: np.ndarray, *, first: bool) -> Spec:
    name, _, unit = LABELS[loss].partition(", ")
    x = {
        "field": "strength",
        "type": "quantitative",
        "title": f"{unit} (log scale)",
        "scale": {"type": "log", "nice": False, "padding": 10},
        "axis": {"values": strengths, "format": ".3~r"},
    }
    y = {"field": "mig", "type": "quantitative", "title": "MIG" if first else None}
    rows = [
        {"strength": strength, "mig": float(mig)}
        for strength, seeds in zip(strengths, values, strict=True)
        for mig in seeds
    ]
    colour = "var(--line-0)"
    return {
        "title": name,
        "width": 130,
        "height": 180,
        "data": {"values": rows},
        "layer": [
            {
                "mark": {"type": "circle", "opacity": 0.5, "color": colour},
                "encoding": {"x": x, "y": y},
            },
            {
                "mark": {"type": "line", "color": colour},
                "encoding": {"x": x, "y": y | {"aggregate": "mean"}},
            },
        ],
    }


if __name__ == "__main__":
    main()
