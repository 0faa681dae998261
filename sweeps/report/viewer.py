"""What the page's script knows of cells and trainings, to show any of them on a click."""

from typing import TypedDict

from sweeps.analysis.summary import Cell, CellScore, Summary
from sweeps.labels import VARIANTS, interval, number, score_label, score_text, seeds


class TrialData(TypedDict):
    """A training in the viewer."""

    slug: str
    seed: int
    state: str
    score: str


class CellData(TypedDict):
    """A cell in the viewer: its name, what is said on hovering, and its trainings."""

    title: str
    scores: dict[str, str]
    summary: str
    note: str
    trials: list[TrialData]


def viewer_data(read: Summary) -> list[CellData]:
    """Return every cell, in the order of their numbers."""
    return [_cell(read, cell) for cell in read.cells]


def _cell(read: Summary, cell: Cell) -> CellData:
    facet = f"{cell.facet}, " if cell.facet else ""
    trials = sorted(
        (
            TrialData(
                slug=trial.slug,
                seed=trial.seed,
                state=trial.state,
                score=score_text(trial.values[read.objective]),
            )
            for trial in read.trials_of(cell)
        ),
        key=lambda trial: (trial["state"] != "complete", trial["seed"]),
    )
    return CellData(
        title=f"{facet}β {number(cell.beta)}, {cell.latent_dim} latents",
        scores={
            name: f"{score_label(name)} {_said(read.scores[name][cell.number], name)}"
            f"{_floor(read, cell, name)}"
            for name in read.score_names
        },
        summary=" · ".join(
            f"{score_label(name)} {score_text(read.scores[name][cell.number].mean)}"
            for name in read.score_names
            if not name.endswith(tuple(VARIANTS))
        ),
        note=f"reconstruction {number(read.scores['recon'][cell.number].mean, digits=4)} nats, "
        f"{number(cell.active_latents)} active latents",
        trials=trials,
    )


def _said(score: CellScore, name: str) -> str:
    between = interval(score.low, score.high)
    return f"{score_text(score.mean)} ({between}; {seeds(score.n, score=name)})"


def _floor(read: Summary, cell: Cell, score: str) -> str:
    floor = read.floor(cell, score)
    return "" if floor is None else f"\nuntrained {score_text(floor.mean)}"
