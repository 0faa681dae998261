"""A study's results as a table, a row per trial."""

import math
from collections.abc import Mapping

import pandas as pd

from bvae.beta_norm import beta_norm
from bvae.history import History, columns
from bvae.trial import TrialResult
from sweeps.scoring import udr
from sweeps.study.study import Study
from sweeps.study.trials import Trial

LOSSES = {"recon": "recon", "kl": "kl", "total_loss": "loss"}
"""Columns, and the losses of a result that they hold; `loss` is what the swept group is called."""
OF_A_RESULT = (
    "active_latents",
    "images_seen",
    "loss_change",
    "wall_time_s",
    "attempt",
    "device",
    "threads",
)


def trials_table(study: Study) -> pd.DataFrame:
    """Return a row per expected trial: coordinates, state, scores, losses (nats), times (s)."""
    of_configurations, names = udr.stored(study), score_names(study)
    return pd.DataFrame(
        [_row(study, trial, names, of_configurations.get(trial.slug, {})) for trial in study.trials]
    )


def histories(study: Study) -> pd.DataFrame:
    """Return a row per trial and logged step: coordinates, step, losses and KL (nats), MIG."""
    rows = [
        {**trial.values, **{name: float(text or "nan") for name, text in row.items()}}
        for trial in study.trials
        for row in History(study.folder.trial(trial.slug).history, []).rows()
    ]
    latent_dim = max(int(str(trial.values["latent_dim"])) for trial in study.trials)
    first = [*study.trials[0].values, *columns(latent_dim=latent_dim, scores=True)]
    names = dict.fromkeys(name for row in rows for name in row) or dict.fromkeys(["step"])
    order = [*(name for name in first if name in names), *(names.keys() - {*first})]
    return pd.DataFrame(rows, columns=order).astype({"step": int})


def ended(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that answers go by: those of trials that have ended.

    Best configurations, verdicts, claims and flags speak of these trials, so that until the end
    they agree. Seeds run one after the other: few configurations have all of theirs then.
    """
    return table[~table["state"].isin(["running", "pending"])]


def score_names(study: Study) -> tuple[str, ...]:
    """Return every score that some result holds, and UDR if it is known, the objective first."""
    names = {name for result in study.results.values() for name in result.scores}
    names |= {name for scores in udr.stored(study).values() for name in scores}
    return tuple(sorted(names, key=lambda name: (name != study.manifest.objective, name)))


def _row(
    study: Study, trial: Trial, names: tuple[str, ...], shared: Mapping[str, float]
) -> dict[str, object]:
    """Return the row of a trial; `shared` are the scores that its configuration's seeds share."""
    manifest, values = study.manifest, trial.values
    result = study.results.get(trial.slug)
    final = result if result is not None and study.is_final(result) else None
    scores = {**final.scores, **shared} if final else {}
    row: dict[str, object] = {"slug": trial.slug, **values, "state": study.states[trial.slug]}
    if manifest.search:
        row["repeats"] = study.repeats
    row["beta"] = float(str(values["beta"]))
    row["beta_norm"] = _beta_norm(study, trial, result)
    row |= {name: scores.get(name) for name in names}
    row |= {name: final.losses.get(of) if final else None for name, of in LOSSES.items()}
    row |= {name: getattr(final, name) if final else None for name in OF_A_RESULT}
    # A result's own comes first: where protocols are swept, the manifest has but one of them.
    otherwise = study.other_protocol or manifest.protocol
    row["protocol"] = (final.scoring if final else {}).get("protocol", otherwise)
    row["code"] = result.versions.get("code") if result else None
    row["error"] = result.cause if result else None
    return row


def _beta_norm(study: Study, trial: Trial, result: TrialResult | None) -> float:
    norm = beta_norm(
        float(str(trial.values["beta"])),
        latent_dim=int(str(trial.values["latent_dim"])),
        image_size=_image_size(study, trial, result),
    )
    return float(f"{norm:.12g}")


def _image_size(study: Study, trial: Trial, result: TrialResult | None) -> int:
    """Return N of a trial's images, which differs between trials where their data are swept."""
    if result is not None and result.data.get("image_shape"):
        return math.prod(result.data["image_shape"])
    if "data" not in study.manifest.axes:
        return study.manifest.image_size
    from bvae.data.datasets import DRAWN, describe  # Pillow, which few studies need

    name = str(trial.values["data"])
    return math.prod(describe(name).image_shape) if name in DRAWN else study.manifest.image_size
