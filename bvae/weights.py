"""The weights that a trial leaves: which are kept, and the model that they are loaded into."""

import json
import warnings
from pathlib import Path

import pytorch_lightning as pl
import torch

from bvae.callbacks import save
from bvae.exceptions import DataError
from bvae.model import BetaVAE
from bvae.part_sources import import_from
from bvae.trial import TrialFolder


def keep(which: str, folder: TrialFolder, trainer: pl.Trainer, model: BetaVAE) -> int:
    """Keep the weights that are asked for, have the model hold them, and return their step.

    Args:
        which: `checkpoint.keep`.
        folder: of the trial.
        trainer: has just trained the model.
        model: holds the last weights.
    """
    if which == "last":
        save(trainer, folder.last, weights_only=False)
    if which != "best":
        return trainer.global_step
    if not folder.best.exists():  # an attempt that kept the last weights had trained it already
        save(trainer, folder.best, weights_only=True)
    best = torch.load(folder.best, map_location=model.device, weights_only=True)
    model.load_state_dict(best["state_dict"])
    return int(best["global_step"])


def remove_others(which: str, folder: TrialFolder) -> None:
    """Remove weights that an attempt with another `checkpoint.keep` left: they are not scored."""
    for name, path in (("last", folder.last), ("best", folder.best)):
        if name != which:
            path.unlink(missing_ok=True)


def load(trial_folder: Path | str) -> BetaVAE:
    """Return the trained model of a finished trial, on the CPU, ready to encode and decode.

    Own networks and losses are found in the folder that the study's command was typed in.

    Raises:
        DataError: the folder holds no weights, damaged ones, or those of other networks.
    """
    folder = TrialFolder(Path(trial_folder))
    path = folder.weights
    if path is None:
        raise DataError(
            f"{folder.root}: no weights; expected those of a complete trial "
            "trained with checkpoint.keep=last or best"
        )
    import_from(_parts_folder(folder))
    try:
        model = BetaVAE.load_from_checkpoint(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch has no root of its own for what a damaged file may raise
        raise DataError(
            f"{path}: damaged, or not the weights of this version's networks; "
            f"load them with the sources they were trained with ({error})"
        ) from error
    then, now = model.trained_sources, model.own_sources
    changed = sorted(name for name in then if then[name] != now.get(name))
    if changed:
        warnings.warn(
            f"{', '.join(changed)}: changed since {folder.root} was trained; the model may "
            "compute something else",
            stacklevel=2,
        )
    return model.eval()


def _parts_folder(folder: TrialFolder) -> str | None:
    """Return where own parts of a trial come from, as its study's manifest says."""
    manifest = folder.root.resolve().parents[1] / "manifest.json"
    if not manifest.is_file():
        return None
    found: str | None = json.loads(manifest.read_text(encoding="utf-8")).get("parts_folder")
    return found
