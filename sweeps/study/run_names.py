"""Names and ids of a study's runs for the tracker; ids are unique to the study."""

import hashlib

from bvae.trial import RunIdentity
from sweeps.study.manifest import Manifest
from sweeps.study.trials import Trial, text

REPORT = "sweep-report"


def identity(manifest: Manifest, trial: Trial) -> RunIdentity:
    """Return name, id and tags of a trial's run."""
    values = trial.values
    name = "b{beta}-m{latent_dim}-s{seed}".format(**{k: text(v) for k, v in values.items()})
    further = [f"{key}={text(values[key])}" for key in manifest.axes]
    return RunIdentity(
        study=manifest.name,
        run_id=_run_id(manifest, trial.slug),
        name="-".join([name, *further]),
        tags=(manifest.data, manifest.model, manifest.protocol),
    )


def report_identity(manifest: Manifest) -> RunIdentity:
    """Return name, id and tags of the run that reports on the whole study."""
    return RunIdentity(
        study=manifest.name,
        run_id=_run_id(manifest, REPORT),
        name=f"{manifest.name}-report",
        tags=(manifest.data, manifest.model, manifest.protocol),
        job_type=REPORT,
    )


def _run_id(manifest: Manifest, part: str) -> str:
    return hashlib.sha256(f"{manifest.study_id}/{part}".encode()).hexdigest()[:16]
