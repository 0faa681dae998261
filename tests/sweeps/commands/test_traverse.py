import argparse
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image

from bvae.codes import Codes
from bvae.data.datasets import ImageDataset
from bvae.data.store import ImageStore
from bvae.exceptions import ConfigError, DataError
from bvae.model import BetaVAE
from sweeps import load_study
from sweeps.commands import traverse
from sweeps.study.study import Study
from tests.doubles.studies import CONFIGURATION, make_study, write_result


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """The first of four trials is complete; weights and codes are there."""
    made = make_study(tmp_path / "tested")
    trial = made.trials[0]
    write_result(made, trial)
    folder = made.folder.trial(trial.slug)
    folder.config.write_text(OmegaConf.to_yaml(OmegaConf.create(CONFIGURATION)))
    mu = np.linspace(-1, 1, 10, dtype=np.float32).reshape(2, 5)
    Codes(mu, np.zeros_like(mu), np.arange(2), None).write(folder.codes)
    torch.manual_seed(0)
    model = BetaVAE(network="mlp", image_shape=(1, 32, 32), latent_dim=5, beta=1.0)
    folder.checkpoints.mkdir()
    checkpoint = {
        "state_dict": model.state_dict(),
        "hyper_parameters": dict(model.hparams),
        "pytorch-lightning_version": "2.6.0",
    }
    torch.save(checkpoint, folder.checkpoints / "last.ckpt")
    return load_study(made.folder.root)


@pytest.fixture(autouse=True)
def _six_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in for the data set: six images without factors."""
    packed = np.packbits(np.eye(6, 1024, dtype=np.uint8), axis=1)
    dataset = ImageDataset("six", ImageStore(packed, (1, 32, 32)), None)
    monkeypatch.setattr("bvae.checks.prepare", lambda config: dataset)


def typed(study: Study, *words: str) -> argparse.Namespace:
    """Parse what is typed after `sweeps traverse DIR`."""
    parser = argparse.ArgumentParser()
    traverse.add_arguments(parser)
    return parser.parse_args([str(study.folder.root), *words])


def test_pictures_of_a_trial(study: Study, capsys: pytest.CaptureFixture[str]) -> None:
    """Both files are in the trial's media, and their paths are printed."""
    slug = study.trials[0].slug
    assert 0 == traverse.run(typed(study, slug, "--latent", "3"))

    media = study.folder.trial(slug).media
    expected = [media.latent(3, "png"), media.latent(3, "gif")]
    assert [str(path) for path in expected] == capsys.readouterr().out.splitlines()
    assert all(path.stat().st_size > 0 for path in expected)


def test_one_image_few_steps(study: Study) -> None:
    """The picture is as wide as its steps and as high as its rows."""
    slug = study.trials[0].slug
    path = study.folder.trial(slug).media.latent(0, "png")
    sizes = []
    for words in (["--image", "2", "--steps", "3"], ["--image", "2"], []):
        traverse.run(typed(study, slug, "--latent", "0", *words))
        with Image.open(path) as picture:
            sizes.append(picture.size)
    assert sizes[0][0] + 8 * 98 == sizes[1][0]
    assert sizes[1][1] + 2 * 2 * 98 == sizes[2][1]


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (
            ["beta=1,", "--latent", "0"],
            r"beta=1,: names 2 trials; .*\n  beta=1,.*seed=0\n  beta=1,",
        ),
        (["beta=7", "--latent", "0"], "beta=7: names 0 trials"),
        (["beta=1,latent_dim=5,seed=0", "--latent", "5"], "latent: expected 0 to 4, but got 5"),
        (["seed=1", "--latent", "0"], "names 2 trials"),
        (["beta=4,latent_dim=5,seed=1", "--latent", "0"], "pending; only a complete trial"),
        (["beta=1,latent_dim=5,seed=0", "--latent", "0", "--steps", "1"], "at least 2, but got 1"),
        (["beta=1,latent_dim=5,seed=0", "--latent", "0", "--image", "heart"], "a row from 0 to 5"),
    ],
)
def test_mistakes(study: Study, words: list[str], match: str) -> None:
    """What was expected is said, and nothing is drawn."""
    with pytest.raises(ConfigError, match=match):
        traverse.run(typed(study, *words))
    assert not list(study.folder.trials.glob("*/media/*"))


def test_a_part_that_only_one_trial_has(study: Study) -> None:
    """Enough of a slug to be the only one names it."""
    assert study.trials[0].slug == traverse.complete_trial(study, "beta=1,latent_dim=5,seed=0")
    assert "beta=1,latent_dim=5,seed=0" == traverse.complete_trial(study, "1,latent_dim=5,seed=0")


@pytest.mark.parametrize("name", ["config", "codes"])
def test_a_damaged_file_is_named(study: Study, name: str) -> None:
    """With what to do, and no traceback of what reads it."""
    path = getattr(study.folder.trial(study.trials[0].slug), name)
    path.write_bytes(b"beta: [1, {" if name == "config" else path.read_bytes()[:200])

    with pytest.raises(DataError, match=rf"{name}\.\w+: .*cannot be read .*trained? .*again"):
        traverse.run(typed(study, study.trials[0].slug, "--latent", "0"))
