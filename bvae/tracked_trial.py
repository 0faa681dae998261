"""What a trial tells W&B: as it runs, or later from what is in its folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from omegaconf import OmegaConf

from bvae import tracking
from bvae.config import Config
from bvae.history import History
from bvae.tracking import Tracker
from bvae.trial import MediaFolder, RunIdentity, TrackerSettings, TrialFolder, TrialResult

PICTURES = ("reconstructions", "traversal", "factor_map", "traversal_gif")


def start(
    config: Config,
    settings: TrackerSettings,
    *,
    beta_norm: float,
    identity: RunIdentity,
    folder: Path,
) -> Tracker:
    """Start the run of a trial, with its full configuration to group and filter by."""
    plain = OmegaConf.to_container(OmegaConf.structured(config))
    if not isinstance(plain, dict):  # OmegaConf's return type does not say so
        raise TypeError(f"expected a mapping, but got {type(plain).__name__}")
    told = {str(key): value for key, value in plain.items() if key != "tracker"}
    return tracking.start(
        settings, folder=folder, identity=identity, config=told | {"beta_norm": beta_norm}
    )


def log_pictures(tracker: Tracker, folder: MediaFolder, *, step: int) -> None:
    """Log every picture that is there."""
    for name in PICTURES:
        path: Path = getattr(folder, name)
        if path.exists():
            tracker.log_picture(f"media/{name}", path, step=step)


def log_outcome(
    tracker: Tracker,
    scores: Mapping[str, float],
    *,
    kl_nats: Sequence[float],
    active_latents: int | None,
    pictures: MediaFolder,
    step: int,
) -> None:
    """Log what a complete trial has come to."""
    values = {f"scores/{name}": value for name, value in scores.items()}
    tracker.log(values, step=step)
    tracker.log_bars("kl/per_latent", kl_nats, step=step)
    log_pictures(tracker, pictures, step=step)
    if active_latents is not None:
        tracker.summarise(values | {"active_latents": active_latents})


def finish(tracker: Tracker, result: TrialResult, *, name: str, alert: bool) -> None:
    """Close the run of a trial that has ended, with a message if it failed and one is wanted."""
    is_failure = result.state == "failed"
    if is_failure and alert:
        tracker.alert(f"{name} failed", result.cause or "no reason given", is_failure=True)
    tracker.finish(exit_code=1 if is_failure else 0)


def tell(tracker: Tracker, folder: TrialFolder, result: TrialResult) -> None:
    """Log all that a trial has left, in the order it would have been logged as it ran."""
    step = 0
    for row in History(folder.history, ()).rows():
        step = int(row.pop("step"))
        tracker.log({name: float(value) for name, value in row.items() if value}, step=step)
        log_pictures(tracker, folder.preview(step), step=step)
    if result.state == "complete":
        log_outcome(
            tracker,
            result.scores,
            kl_nats=result.kl_per_latent,
            active_latents=result.active_latents,
            pictures=folder.media,
            step=result.steps or step,
        )
