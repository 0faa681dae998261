"""`sweeps traverse`: a picture and an animation of one latent of a trained model over its range."""

import argparse
from typing import TYPE_CHECKING, Any

from bvae.exceptions import ConfigError, DataError
from sweeps.commands.arguments import add_study, add_trial
from sweeps.labels import shown
from sweeps.scoring.rescoring import read_codes
from sweeps.study.study import Study, open_study
from sweeps.workers.exit_codes import Exit

if TYPE_CHECKING:
    from bvae.data.datasets import ImageDataset
    from bvae.trial import TrialFolder

STEPS = 11


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `sweeps traverse` takes."""
    add_study(parser)
    add_trial(parser)
    parser.add_argument("--latent", type=int, required=True, help="the latent to move, from 0")
    parser.add_argument(
        "--image",
        metavar="SHAPE|ROW",
        help="start from a square, ellipse or heart, or from a row of the data; default: all three "
        "shapes or, for other data, three evenly spread images",
    )
    parser.add_argument("--steps", type=int, default=STEPS, help=f"default: {STEPS}")


def run(typed: argparse.Namespace) -> int:
    """Draw one latent of a trial's model, and print where the pictures are."""
    # torch takes seconds to load, which a mistake in the arguments need not wait for
    from bvae.part_sources import import_from
    from bvae.pictures.traversal import draw, starts
    from bvae.weights import load

    if typed.steps < 2:
        raise ConfigError(f"steps: expected at least 2, but got {typed.steps}")
    study = open_study(typed.study)
    import_from(study.manifest.parts_folder)
    folder = study.folder.trial(complete_trial(study, typed.trial))
    dataset = _dataset(folder)
    drawn = draw(
        load(folder.root),
        dataset,
        read_codes(folder.codes),
        latent=typed.latent,
        begun=starts(dataset.labels, len(dataset), typed.image),
        steps=typed.steps,
        folder=folder.media,
    )
    print(shown(drawn.grid))
    print(shown(drawn.animation))
    return Exit.COMPLETE


def complete_trial(study: Study, part: str) -> str:
    """Return the slug of the complete trial that is named, or the only one with this part in it.

    Raises:
        ConfigError: none or several are meant, or the trial is not complete.
    """
    slug = study.slug_of(part)
    if study.states[slug] != "complete":
        raise ConfigError(f"{slug} is {study.states[slug]}; only a complete trial has a model")
    return slug


def _dataset(folder: "TrialFolder") -> "ImageDataset":
    """Open the data that the trial was trained on."""
    from omegaconf import OmegaConf

    from bvae import checks, config

    try:
        composed: Any = OmegaConf.to_container(OmegaConf.load(folder.config))  # has been resolved
    except Exception as error:  # whatever YAML's parser raises
        reason = str(error).partition("\n")[0]
        raise DataError(
            f"{folder.config}: cannot be read ({reason}); remove the trial's result.json, and it "
            "is trained again"
        ) from error
    return checks.prepare(config.parse(composed))
