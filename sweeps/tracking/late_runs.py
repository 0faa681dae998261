"""Runs of trials that have none, as those trained without W&B, made of what is in their folders."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from bvae import config, tracked_trial
from bvae.beta_norm import beta_norm
from bvae.exceptions import ConfigError
from bvae.trial import TrackerSettings, WandbFolder
from sweeps.analysis.summary import summarize
from sweeps.study.run_names import identity, report_identity
from sweeps.study.study import Study
from sweeps.study.trials import Trial
from sweeps.tracking.offline_files import fragments
from sweeps.tracking.study_run import track_report
from sweeps.tracking.sync import rows_uploaded


def make_missing(study: Study) -> Iterator[str]:
    """Make the runs that are neither on disk nor on the server, and that of the study.

    Yields:
        what of each could not be made.
    """
    making = study.folder.wandb_unfinished
    shutil.rmtree(making, ignore_errors=True)  # of a command that was killed
    known = {fragment.run_id for fragment in fragments(study.folder.wandb)}
    for trial in study.trials:
        run = identity(study.manifest, trial).run_id
        if study.states[trial.slug] not in ("complete", "failed", "pruned") or run in known:
            continue
        if rows_uploaded(run, study):
            continue
        try:
            lost = _make(study, trial, making)
        except (OSError, ConfigError) as error:
            lost = str(error)
        if lost is not None:
            yield f"{trial.slug}: {lost}"
    shutil.rmtree(making, ignore_errors=True)
    report = report_identity(study.manifest).run_id
    if report not in known and rows_uploaded(report, study):
        return
    settings = _offline(study.manifest.tracker)
    lost = track_report(summarize(study), study.folder.page, settings=settings)
    if lost is not None:
        yield f"the study: {lost}"


def _make(study: Study, trial: Trial, making: Path) -> str | None:
    """Make the run of a trial elsewhere, and put it where the others are once it is whole."""
    folder, result = study.folder.trial(trial.slug), study.results[trial.slug]
    is_written = folder.config.exists()  # not of a trial that failed at once
    found: Any = study.manifest.config_of(trial)
    if is_written:
        found = OmegaConf.to_container(OmegaConf.load(folder.config))  # has been resolved
    trained = config.parse(found)
    then = trained.tracker
    settings = replace(
        study.manifest.tracker, git_commit=then.git_commit, git_remote=then.git_remote
    )
    norm = beta_norm(
        trained.beta, latent_dim=trained.latent_dim, image_size=study.manifest.image_size
    )
    run = identity(study.manifest, trial)
    tracker = tracked_trial.start(
        trained,
        _offline(settings),
        beta_norm=result.beta_norm or norm,
        identity=run,
        folder=making,
    )
    tracked_trial.tell(tracker, folder, result)
    tracked_trial.finish(tracker, result, name=run.name, alert=False)
    if tracker.lost is None:
        for made in WandbFolder(making).root.glob(f"offline-run-*-{run.run_id}"):
            made.rename(study.folder.wandb / made.name)
    return tracker.lost


def _offline(settings: TrackerSettings) -> TrackerSettings:
    return replace(settings, name="wandb", mode="offline")
