"""Weights that cannot be loaded; how they are kept, whole trials show (`test_train.py`)."""

from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch

from bvae.callbacks import save
from bvae.exceptions import DataError
from bvae.model import BetaVAE
from bvae.trial import TrialFolder
from bvae.weights import load


@pytest.fixture
def folder(tmp_path: Path) -> TrialFolder:
    """The folder of a trial that has kept no weights yet."""
    made = TrialFolder(tmp_path / "study" / "trials" / "trial")
    made.checkpoints.mkdir(parents=True)
    return made


@pytest.mark.parametrize("content", [b"", b"garbage", b"PK\x03\x04 torn"])
def test_damaged_ones_are_told(folder: TrialFolder, content: bytes) -> None:
    """A file that holds no checkpoint ends in a message with its name."""
    folder.last.write_bytes(content)

    with pytest.raises(DataError, match=r"last\.ckpt: damaged, or not the weights"):
        load(folder.root)


def test_those_of_other_networks_are_told(folder: TrialFolder, model: BetaVAE) -> None:
    """Weights that do not fit this version's networks end in a message, not in torch's own."""
    trainer = pl.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    trainer.strategy.connect(model)
    save(trainer, folder.last, weights_only=True)
    assert 3 == load(folder.root).hparams["latent_dim"]
    checkpoint = torch.load(folder.last, weights_only=True)
    checkpoint["state_dict"].popitem()
    torch.save(checkpoint, folder.last)

    with pytest.raises(DataError, match="not the weights of this version's networks"):
        load(folder.root)
