"""Tables of trials made of numbers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from sweeps.analysis import best, paper_claims, sensitivity, verdict
from sweeps.analysis.curve import Curves


def study(
    *,
    betas: Sequence[float] = (0.25, 4.0, 16.0),
    latent_dims: Sequence[int] = (5, 10),
    seeds: Sequence[int] = (0, 1, 2),
    models: Sequence[object] = ("mlp",),
) -> pd.DataFrame:
    """A finished study of random scores, in an order of its own, as `Study.frame()` gives it."""
    rng = np.random.default_rng(7)
    rows: list[dict[str, Any]] = [
        {
            "slug": f"beta={beta},latent_dim={latent_dim},seed={seed},model={model}",
            "beta": beta,
            "latent_dim": latent_dim,
            "seed": seed,
            "model": model,
            "state": "complete",
            "beta_norm": beta * latent_dim / 1024,
            "mig": rng.normal(0.2, 0.03),
            "beta_vae": rng.normal(0.8, 0.03),
            "active_latents": 4,
            "protocol": "locatello2019",
        }
        for seed in seeds
        for model in models
        for latent_dim in latent_dims
        for beta in betas
    ]
    return pd.DataFrame(rows)


def end(frame: pd.DataFrame, state: str, **trial: object) -> pd.DataFrame:
    """The study with matching trials in another state, without scores."""
    hit = np.logical_and.reduce([frame[key] == value for key, value in trial.items()])
    changed = frame.astype({"active_latents": float})
    changed.loc[hit, "state"] = state
    changed.loc[hit, ["mig", "beta_vae", "active_latents"]] = np.nan
    return changed


def best_configurations(
    frame: pd.DataFrame, *, score: str, axes: Sequence[str] = ()
) -> best.BestConfigurations:
    """The best configurations of a table."""
    return best.best_configurations(Curves(frame, axes).lines(score))


def judge_all(
    frame: pd.DataFrame, *, score_names: Sequence[str], axes: Sequence[str] = ()
) -> list[verdict.Judgement]:
    """The judgements on every line of a table, score by score."""
    curves, others = Curves(frame, axes), tuple(frame.columns)
    found = [verdict.judge_all(curves.lines(name), other_scores=others) for name in score_names]
    return [one for of_score in found for one in of_score]


def flags(
    frame: pd.DataFrame, *, score_names: Sequence[str], axes: Sequence[str] = ()
) -> tuple[sensitivity.Flag, ...]:
    """The flags of a table."""
    return sensitivity.flags(Curves(frame, axes), score_names=score_names)


def check_claims(
    frame: pd.DataFrame, *, score: str, axes: Sequence[str] = (), **more: Any
) -> tuple[paper_claims.PaperClaim, ...]:
    """The claims as a table answers them."""
    return paper_claims.check_claims(Curves(frame, axes), score=score, **more)
