"""A study made of numbers, not of training: real files on disk, drawn from a known inverted U."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol
from unittest import mock

import numpy as np
import pytest
from PIL import Image, ImageDraw

from sweeps import load_study
from sweeps.study.manifest import Manifest
from sweeps.study.study import Study
from sweeps.study.trials import Trial, grid

IMAGE_SIZE = 1024
MANIFEST: dict[str, Any] = {
    "study_id": "study-1",
    "base": {},
    "compositions": {},
    "groups": [],
    "objective": "mig",
    "protocol": "locatello2019",
    "lattice": "3x6x40x8x8",
    "data": "dsprites32",
    "model": "mlp",
    "image_size": IMAGE_SIZE,
    "threads": 1,
    "arguments": ["-m", "experiment=quick"],
    "created_at": "2026-11-24T04:00:00+00:00",
    "code_version": "4f1c2a9b",
    "versions": {"bvae-sweeps": "0.1.0", "torch": "2.13.0"},
}
SCORES = {"mig": 0.33, "beta_vae": 0.85}


def make_trials(
    betas: Sequence[float] = (0.25, 1, 4, 16, 64),
    latent_dims: Sequence[int] = (5, 10),
    seeds: Sequence[int] = (0, 1, 2),
    **axes: Sequence[object],
) -> list[Trial]:
    """Return the trials of a grid in the order to run."""
    trials, _ = grid({"beta": betas, "latent_dim": latent_dims, "seed": seeds, **axes})
    return trials


def result_of(trial: Trial, **changes: Any) -> dict[str, Any]:
    """Return the result of one training: an inverted U over log β with its peak near β = 6."""
    values = trial.values
    beta, latent_dim, seed = (float(str(values[key])) for key in ("beta", "latent_dim", "seed"))
    noise = np.random.default_rng([int(beta * 100), int(latent_dim), int(seed)])
    distance = math.log(beta / (4 + latent_dim / 4)) / math.log(6)
    height = math.exp(-0.5 * distance**2)
    active = 0 if beta >= 60 else min(int(latent_dim), max(1, round(6 - math.log2(beta))))
    kl = sorted(noise.uniform(0.8, 3.5, active), reverse=True) + [0.002] * (
        int(latent_dim) - active
    )
    recon = 40 + 25 * math.log1p(beta) + noise.normal(0, 2)
    scores = {name: max(0, top * height + noise.normal(0, 0.02)) for name, top in SCORES.items()}
    return {
        "schema": 1,
        "point": values,
        "beta_norm": beta * latent_dim / IMAGE_SIZE,
        "state": "complete",
        "scores": scores,
        "scoring": {"protocol": "locatello2019", "lattice": "3x6x40x8x8", "wall_time_s": 3.2},
        "losses": {"recon": recon, "kl": sum(kl), "loss": recon + beta * sum(kl)},
        "kl_per_latent": list(noise.permutation(kl)),
        "active_latents": active,
        "images_seen": 128000,
        "threads": 1,
        "wall_time_s": 17.5 + noise.normal(0, 1),
        "started_at": "2026-11-24T04:00:00+00:00",
        "device": "cpu",
        "attempt": 1,
        "error": None,
        "versions": {"bvae-sweeps": "0.1.0", "torch": "2.13.0"},
    } | changes


def write_study(
    folder: Path,
    trials: Sequence[Trial],
    *,
    results: Mapping[str, Mapping[str, Any] | None] | None = None,
    pictures: bool = True,
    **manifest: Any,
) -> Study:
    """Write a study; `results` replaces a trial's result by its slug, None leaves it out."""
    axes = [name for name in trials[0].values if name not in ("beta", "latent_dim", "seed")]
    settings = MANIFEST | {"name": folder.name, "axes": axes} | manifest
    Manifest(trials=[trial.values for trial in trials], **settings).write(folder / "manifest.json")
    for trial in trials:
        result = (results or {}).get(trial.slug, result_of(trial))
        if result is not None:
            write_trial(folder / "trials" / trial.slug, result, pictures=pictures)
    return load_study(folder)


def write_trial(folder: Path, result: Mapping[str, Any], *, pictures: bool = True) -> None:
    """Write a trial folder as a worker leaves it."""
    media = folder / "media"
    media.mkdir(parents=True, exist_ok=True)
    (folder / "checkpoints").mkdir(exist_ok=True)
    (folder / "checkpoints" / "last.ckpt").write_bytes(b"")
    (folder / "result.json").write_text(json.dumps(result))
    if pictures and result["state"] == "complete":
        rows = len(result["kl_per_latent"])
        strip(10, 2).save(media / "reconstructions.png")
        strip(9, rows).save(media / "traversal.png")
        frames = [strip(1, rows, shift=step) for step in range(6)]
        frames[0].save(
            media / "traversal.gif", save_all=True, append_images=frames[1:], duration=120, loop=0
        )


def strip(columns: int, rows: int, *, shift: int = 0) -> Image.Image:
    """Return a grid of white shapes on black, moving along the row."""
    size = 64
    picture = Image.new("L", (columns * size, rows * size))
    draw = ImageDraw.Draw(picture)
    for column in range(columns):
        for row in range(rows):
            x = column * size + 8 + (3 * column + 5 * shift + 7 * row) % 24
            y = row * size + 8 + 5 * row % 24
            shape = (draw.ellipse, draw.rectangle)[row % 2]
            shape((x, y, x + 24, y + 24), fill=255)
    return picture


def sections_of_page(study: Study, *names: str, embed_all: bool = False) -> str:
    """Return a study's page with only these sections, and without the scripts that draw charts."""
    from sweeps.analysis.summary import summarize
    from sweeps.report import page

    chosen = [
        section if section.name in names else section._replace(show=lambda _: None)
        for section in page.SECTIONS
    ]
    with mock.patch.object(page, "SECTIONS", chosen), without_scripts():
        return page.render(summarize(study), embed_all=embed_all)


def without_scripts() -> AbstractContextManager[object]:
    """Leave out of pages the scripts that draw: 0.9 MB, and three seconds once a process."""
    return mock.patch("sweeps.report.vega.scripts", return_value="")


class StudyMaker(Protocol):
    """Writes a study into a new folder."""

    def __call__(
        self,
        trials: Sequence[Trial] | None = None,
        *,
        folder: str = "quick",
        results: Mapping[str, Mapping[str, Any] | None] | None = None,
        pictures: bool = False,
        **manifest: Any,
    ) -> Study:
        """Return the study of the trials, by default 3 β × 2 latent sizes × 2 seeds."""


@pytest.fixture(scope="session", name="trials_of")
def _trials_of() -> Any:
    return make_trials


@pytest.fixture(scope="session", name="result_of")
def _result_of() -> Any:
    return result_of


@pytest.fixture(scope="session", name="write_study")
def _write_study() -> Any:
    return write_study


@pytest.fixture(scope="session")
def contrast() -> Callable[[Sequence[float], Sequence[float]], float]:
    """A function that gives the contrast ratio of two colours (sRGB, 0 to 1), 1 to 21: WCAG 2.2."""

    def luminance(colour: Sequence[float]) -> float:
        parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    def ratio(one: Sequence[float], other: Sequence[float]) -> float:
        dark, light = sorted((luminance(one), luminance(other)))
        return (light + 0.05) / (dark + 0.05)

    return ratio


@pytest.fixture
def make_study(tmp_path: Path) -> StudyMaker:
    """A function that writes a study."""

    def make(
        trials: Sequence[Trial] | None = None, *, folder: str = "quick", **options: Any
    ) -> Study:
        chosen = trials or make_trials(betas=(0.25, 4, 64), seeds=(0, 1))
        options.setdefault("pictures", False)
        return write_study(tmp_path / folder, chosen, **options)

    return make


@pytest.fixture
def pair(make_study: Any, trials_of: Any, result_of: Any) -> Any:
    """Two studies of the same grid; the second scores 0.1 more, give or take."""
    trials = trials_of(betas=(0.25, 4), latent_dims=(5,), seeds=(0, 1, 2))

    def better(trial: Any) -> Any:
        result = result_of(trial)
        more = 0.1 + 0.01 * trial.values["seed"] * (-1 if trial.values["beta"] == 4 else 1)
        return result | {"scores": {k: v + more for k, v in result["scores"].items()}}

    return (
        make_study(trials, folder="a", base={"optimizer.lr": 0.001, "model.name": "mlp"}),
        make_study(
            trials, folder="b", base={"optimizer.lr": 0.0003, "model.name": "mlp"},
            results={trial.slug: better(trial) for trial in trials}, threads=2,
        ),
    )  # fmt: skip
