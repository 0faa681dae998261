"""How a study's runs are known to the tracker; ids are unlike those of any other study."""

import hashlib

from bvae.tracking import RunIdentity
from sweeps.manifest import Manifest
from sweeps.points import Point, text

REPORT = "sweep-report"


def identity(manifest: Manifest, point: Point) -> RunIdentity:
    """Return how a point's run is known."""
    values = point.values
    name = "b{beta}-m{latent_dim}-s{seed}".format(**{k: text(v) for k, v in values.items()})
    further = [f"{key}={text(values[key])}" for key in manifest.axes]
    return RunIdentity(
        study=manifest.name,
        run_id=_run_id(manifest, point.slug),
        name="-".join([name, *further]),
        tags=(manifest.data, manifest.model, manifest.protocol),
    )


def report_identity(manifest: Manifest) -> RunIdentity:
    """Return how the run is known that tells of the whole study."""
    return RunIdentity(
        study=manifest.name,
        run_id=_run_id(manifest, REPORT),
        name=f"{manifest.name}-report",
        tags=(manifest.data, manifest.model, manifest.protocol),
        job_type=REPORT,
    )


def _run_id(manifest: Manifest, part: str) -> str:
    return hashlib.sha256(f"{manifest.study_id}/{part}".encode()).hexdigest()[:16]
