from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch
from torch.distributions import Bernoulli, Normal

from bvae import evaluate
from bvae.codes import Codes
from bvae.data.datasets import ImageDataset
from bvae.data.labels import FactorTable
from bvae.evaluate import Validation, encode, scored_part
from bvae.model import BetaVAE


@pytest.fixture
def codes(model: BetaVAE, tiny: ImageDataset) -> Codes:
    """Codes of every image of the tiny data set."""
    lattice, rows = scored_part(tiny, None)
    return encode(model, tiny, rows=rows, labels=lattice)


class TestEncode:
    def test_codes_are_what_the_encoder_says(
        self, model: BetaVAE, tiny: ImageDataset, codes: Codes
    ) -> None:
        """Row i holds mu and logvar of image i, rounded to what a float16 can hold."""
        x = torch.from_numpy(tiny.store.images(np.arange(96))).float()
        with torch.no_grad():
            mu, logvar = model.encode(x)

        np.testing.assert_allclose(codes.mu, mu.half().numpy(), rtol=0, atol=1e-6)
        np.testing.assert_allclose(codes.logvar, logvar.half().numpy(), rtol=0, atol=1e-6)

    def test_batches_do_not_matter(
        self, model: BetaVAE, tiny: ImageDataset, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A table encoded in parts, the last one smaller, is the table encoded at once."""
        rows = np.arange(96)
        whole = encode(model, tiny, rows=rows, labels=None)
        monkeypatch.setattr(evaluate, "ENCODE_BATCH", 40)
        parts = encode(model, tiny, rows=rows, labels=None)

        np.testing.assert_allclose(whole.mu, parts.mu, rtol=0, atol=1e-3)

    def test_training_goes_on_undisturbed(self, model: BetaVAE, tiny: ImageDataset) -> None:
        """Looking at a model changes neither the generator nor its mode."""
        before = torch.get_rng_state()
        Validation.of(tiny, None).run(model)

        assert torch.equal(before, torch.get_rng_state())
        assert model.training

    def test_own_networks_are_evaluated(self, tiny: ImageDataset) -> None:
        """Codes, pictures and losses have no dropout; statistics are as learnt, and stay so."""
        model = BetaVAE(
            network="own",
            image_shape=(1, 32, 32),
            latent_dim=3,
            beta=2.0,
            encoder={"_target_": f"{__name__}.unsteady", "n_in": 1024, "n_out": 6},
            decoder={"_target_": f"{__name__}.unsteady", "n_in": 3, "n_out": 1024},
        )
        model.encoder[1].eval()  # frozen by its author
        weights = {name: value.clone() for name, value in model.state_dict().items()}
        validation = Validation.of(tiny, None)
        generator = torch.get_rng_state()
        found = [validation.run(model) for _ in range(2)]

        assert found[0] == found[1]
        assert torch.equal(generator, torch.get_rng_state())
        assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
        assert model.training
        assert model.encoder[2].training
        assert not model.encoder[1].training


def unsteady(n_in: int, n_out: int) -> torch.nn.Module:
    """A network that is another one while it is trained."""
    layers = [torch.nn.Flatten(), torch.nn.BatchNorm1d(n_in), torch.nn.Dropout()]
    shape = (1, 32, 32) if n_out == 1024 else (n_out,)
    return torch.nn.Sequential(*layers, torch.nn.Linear(n_in, n_out), torch.nn.Unflatten(1, shape))


class TestDecode:
    def test_pictures_are_the_decoders_means(
        self, model: BetaVAE, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Codes decoded in parts, the last one smaller, are those decoded at once."""
        z = torch.randn(10, 3)
        monkeypatch.setattr(evaluate, "ENCODE_BATCH", 4)
        found = evaluate.decode(model, z)
        with torch.no_grad():
            expected = model.decode(z).sigmoid().numpy()

        assert np.float32 == found.dtype
        np.testing.assert_allclose(found, expected, atol=1e-6)


class TestLosses:
    def test_recon_is_torchs_likelihood(
        self, model: BetaVAE, tiny: ImageDataset, codes: Codes
    ) -> None:
        """Without spread, recon is the NLL of the decoded means, summed over pixels."""
        sharp = replace(codes, logvar=np.full_like(codes.logvar, -60.0))
        x = torch.from_numpy(tiny.store.images(np.arange(96))).float()
        with torch.no_grad():
            logits = model.decode(torch.from_numpy(codes.mu))
        expected = -Bernoulli(logits=logits).log_prob(x).sum((1, 2, 3)).mean().item()

        found = evaluate.losses(model, tiny, sharp)

        assert found["recon"] == pytest.approx(expected, rel=1e-5)
        assert found["loss"] == pytest.approx(found["recon"] + 2.0 * found["kl"])

    def test_recon_of_gaussian_pixels(
        self, model: BetaVAE, tiny: ImageDataset, codes: Codes
    ) -> None:
        """A model of Gaussian pixels is judged by their density: about the mean ± noise of z."""
        model.variance = 0.25
        x = torch.from_numpy(tiny.store.images(np.arange(96))).float()
        with torch.no_grad():
            means = model.decode(torch.from_numpy(codes.mu)).sigmoid()
        expected = -Normal(means, 0.5).log_prob(x).sum().item() / 96

        assert evaluate.losses(model, tiny, codes)["recon"] == pytest.approx(expected, rel=0.02)

    def test_they_are_reproducible(self, model: BetaVAE, tiny: ImageDataset, codes: Codes) -> None:
        """The same codes give the same losses, whatever the generator's state."""
        first = evaluate.losses(model, tiny, codes)
        torch.manual_seed(7)

        assert first == evaluate.losses(model, tiny, codes)


class Noisy(torch.nn.Module):
    """A loss of a user's that counts its calls, and draws a number in each."""

    def __init__(self) -> None:
        super().__init__()
        self.dropout = torch.nn.Dropout(0.5)

    def forward(self, x: Any, logits: Any, mu: Any, logvar: Any, z: Any, step: int) -> Any:
        """The size of the batch as loss, what a dropout leaves of 1 as part."""
        return {
            "loss": torch.tensor(float(len(x))) + 0 * torch.rand(()),
            "kept": self.dropout(torch.ones(1000)).mean(),
        }


def other(loss: dict[str, Any]) -> BetaVAE:
    """A model of another loss."""
    torch.manual_seed(0)
    return BetaVAE(
        network="mlp",
        image_shape=(1, 32, 32),
        latent_dim=3,
        beta=2.0,
        loss=loss,
        n_images=96,
    )


class TestOtherLosses:
    def test_the_loss_is_the_mean_over_batches(
        self, tiny: ImageDataset, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Of a batch, it is the loss itself; its own parts stand beside recon and kl."""
        model = other({"_target_": "bvae.losses.BetaTCVAELoss"})
        codes = evaluate.encode(model, tiny, rows=np.arange(96), labels=tiny.labels)
        monkeypatch.setattr(evaluate, "ENCODE_BATCH", 48)
        found = evaluate.losses(model, tiny, codes)
        noise = torch.Generator().manual_seed(0)
        expected = []
        for rows in np.split(np.arange(96), 2):
            mu, logvar = (torch.from_numpy(of[rows]) for of in (codes.mu, codes.logvar))
            z = mu + (0.5 * logvar).exp() * torch.randn(mu.shape, generator=noise)
            x = torch.from_numpy(tiny.store.images(rows)).float()
            with torch.no_grad():
                expected.append(model.loss(x, model.decode(z), mu, logvar, z, 0))

        for name in ("loss", "recon", "tc", "mutual_information"):
            mean = np.mean([parts[name].item() for parts in expected])
            assert found[name] == pytest.approx(mean, rel=1e-5), name
        assert found["kl"] == codes.kl_nats.sum()

    def test_training_is_not_changed(self, tiny: ImageDataset) -> None:
        """Batches weigh by their size; the loss is evaluated, and draws no number of training's."""
        model = other({"_target_": f"{__name__}.Noisy"})
        codes = evaluate.encode(model, tiny, rows=np.arange(90), labels=None)
        before = torch.get_rng_state()
        found = evaluate.losses(model, tiny, codes)

        assert 90 == found["loss"]
        assert 1 == found["kept"]
        assert torch.equal(before, torch.get_rng_state())
        assert model.loss.training

    def test_a_schedule_is_where_training_stands(
        self, tiny: ImageDataset, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Validation halfway up a warm-up has half of β."""
        model = other(
            {"_target_": "bvae.losses.BetaVAELoss", "schedule": "linear", "schedule_steps": 10}
        )
        codes = evaluate.encode(model, tiny, rows=np.arange(96), labels=tiny.labels)
        monkeypatch.setattr(BetaVAE, "global_step", property(lambda self: 5))
        found = evaluate.losses(model, tiny, codes)

        assert 1 == found["beta"]
        assert found["loss"] == pytest.approx(found["recon"] + found["kl"], rel=1e-5)


class TestScoredPart:
    def test_every_kth_class_is_scored(self, tiny: ImageDataset) -> None:
        """The scored rows are those of the sub-lattice, in its order."""
        lattice, rows = scored_part(tiny, (1, 2, 2, 1, 2))
        assert lattice is not None
        assert tiny.labels is not None
        factors = tiny.labels.factors(rows)

        assert (3, 1, 2, 2, 1) == lattice.sizes
        np.testing.assert_array_equal(lattice.factors(np.arange(12)) * [1, 2, 2, 1, 2], factors)

    def test_without_factors_all_is_encoded(self, tiny: ImageDataset) -> None:
        """A data set without factors has no lattice; all its images are encoded."""
        lattice, rows = scored_part(replace(tiny, labels=None), (1, 1))

        assert lattice is None
        np.testing.assert_array_equal(np.arange(96), rows)

    def test_of_many_without_factors_some_are_coded(
        self, tiny: ImageDataset, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Evenly spread, first and last among them, and the same ones whatever the seed."""
        monkeypatch.setattr(evaluate, "CODED_IMAGES", 20)

        _, rows = scored_part(replace(tiny, labels=None), None)

        assert (20, 0, 95) == (len(rows), rows[0], rows[-1])
        assert set(np.diff(rows)) <= {4, 5, 6}


class TestValidation:
    def test_validation_needs_classes_that_its_images_have(
        self, model: BetaVAE, tiny: ImageDataset, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A factor of too many classes for the images of a validation gives no score there."""
        classes = (np.arange(96) % 48)[:, None] * 1.0
        monkeypatch.setattr(evaluate, "VALIDATION_IMAGES", 40)
        found = Validation.of(replace(tiny, labels=FactorTable(("id",), classes)), None).run(model)

        assert "val/loss" in found
        assert "scores/mig" not in found

    def test_it_looks_at_losses_kl_and_mig(self, model: BetaVAE, tiny: ImageDataset) -> None:
        """It gives validation losses, KL of each latent, active units and MIG."""
        found = Validation.of(tiny, None).run(model)

        losses = {"val/recon", "val/kl", "val/loss"}
        assert losses | {"kl/z00", "kl/z02", "kl/active_units"} < set(found)
        assert 0 <= found["scores/mig"] <= 1

    def test_it_looks_without_factors(self, model: BetaVAE, tiny: ImageDataset) -> None:
        """Without factors it has no score."""
        found = Validation.of(replace(tiny, labels=None), None).run(model)

        assert not [name for name in found if name.startswith("scores/")]

    def test_losses_are_of_images_held_out(self, model: BetaVAE, tiny: ImageDataset) -> None:
        """KL, active units and MIG stay those of the scored images."""
        rows = np.array([3, 40, 41, 77])
        whole = Validation.of(tiny, None).run(model)
        found = Validation.of(replace(tiny, held_out=rows), None).run(model)
        codes = encode(model, tiny, rows=rows, labels=None)

        expected = {f"val/{name}": x for name, x in evaluate.losses(model, tiny, codes).items()}
        assert whole | expected == found
        assert whole["val/recon"] != found["val/recon"]


class TestReconExcess:
    def test_it_is_that_of_torchs_likelihood(self, model: BetaVAE, tiny: ImageDataset) -> None:
        """Relative to the mean NLL of images trained on, with the error of two pooled samples."""
        for weights in model.encoder.parameters():
            weights.data *= 0  # then z is the same noise for every image
        dataset = replace(tiny, held_out=np.arange(0, 96, 3))
        found = evaluate.recon_excess(model, dataset)

        def nlls(rows: np.ndarray) -> torch.Tensor:
            noise = torch.Generator().manual_seed(0)
            parts = np.array_split(rows, max(1, len(rows) // evaluate.ENCODE_BATCH))
            z = torch.cat([torch.randn(len(part), 3, generator=noise) for part in parts])
            x = torch.from_numpy(tiny.store.images(rows)).float()
            with torch.no_grad():
                return -Bernoulli(logits=model.decode(z)).log_prob(x).sum((1, 2, 3)).double()

        unseen, seen = nlls(dataset.held_out), nlls(dataset.trained_on)
        test = scipy.stats.ttest_ind(unseen.numpy(), seen.numpy())
        relative = float((unseen.mean() - seen.mean()) / seen.mean())
        assert relative == pytest.approx(found["relative"], rel=1e-3)
        assert test.statistic == pytest.approx(relative / found["standard_error"], rel=1e-3)

    def test_gaussian_pixels_are_counted_from_the_least(
        self, model: BetaVAE, tiny: ImageDataset
    ) -> None:
        """So the variance, which may move the NLL below 0, does not matter where z is the same."""
        dataset = replace(tiny, held_out=np.arange(0, 96, 3))
        found = []
        for variance in (0.01, 0.1):
            model.variance = variance
            found.append(evaluate.recon_excess(model, dataset)["relative"])

        assert found[0] == pytest.approx(found[1], rel=1e-3)

    def test_without_images_held_out_there_is_none(
        self, model: BetaVAE, tiny: ImageDataset
    ) -> None:
        """Nothing can be said then."""
        assert {} == evaluate.recon_excess(model, tiny)
