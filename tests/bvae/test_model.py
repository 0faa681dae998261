import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from bvae.exceptions import ConfigError, NonFiniteLossError
from bvae.losses import Losses, beta_vae_loss
from bvae.model import BetaVAE, Outputs

SHAPE = (1, 32, 32)


def make_model(
    *, network: str = "mlp", beta: float = 4.0, optimizer: str = "adam", lr: float = 1e-3
) -> BetaVAE:
    """A model of five latents; the same weights each time."""
    torch.manual_seed(0)
    return BetaVAE(
        network=network,
        image_shape=SHAPE,
        latent_dim=5,
        beta=beta,
        optimizer=optimizer,
        lr=lr,
    )


def make_batch(step: int) -> torch.Tensor:
    """Eight images of one rectangle each, a function of the step."""
    generator = torch.Generator().manual_seed(step)
    x = torch.zeros(8, *SHAPE)
    for image, (top, left) in zip(
        x, torch.randint(0, 20, (8, 2), generator=generator), strict=True
    ):
        image[0, top : top + 8, left : left + 12] = 1.0
    return x


class StepStream:
    """Batches that continue where the trainer stands."""

    def __init__(self, trainer: pl.Trainer) -> None:
        self.trainer = trainer

    def __iter__(self) -> Iterator[list[torch.Tensor]]:
        step = self.trainer.global_step
        while True:
            yield [make_batch(step)]
            step += 1


class SaveEvery(pl.Callback):
    """Saves a checkpoint every so many steps, after the step."""

    def __init__(self, folder: Path, every: int) -> None:
        self.folder = folder
        self.every = every

    def on_train_batch_end(self, trainer: pl.Trainer, *_: object) -> None:
        """Save when it is time."""
        step = trainer.global_step
        if step % self.every == 0:
            trainer.save_checkpoint(self.folder / f"step={step}.ckpt")


class Device:
    """The generator of a device that is not there."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.state = torch.tensor([1, 2, 3], dtype=torch.uint8)

    def get(self, *_: torch.device) -> torch.Tensor:
        """Stand in for `get_rng_state`."""
        return self.state

    def set(self, state: torch.Tensor, *_: torch.device) -> None:
        """Stand in for `set_rng_state`."""
        self.state = state


def fit(
    model: BetaVAE,
    folder: Path,
    *,
    max_steps: int,
    save_every: int = 100,
    resume: str | None = None,
) -> pl.Trainer:
    """Train on the CPU; `folder` gets a checkpoint `step=….ckpt` every so many steps."""
    trainer = pl.Trainer(
        accelerator="cpu",
        max_steps=max_steps,
        max_epochs=-1,
        logger=False,
        callbacks=[SaveEvery(folder, save_every)],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    with warnings.catch_warnings():
        # The stream is stopped inside its only, endless epoch.
        warnings.filterwarnings(
            "ignore", message=".*resuming from a checkpoint that ended before.*"
        )
        warnings.filterwarnings(
            "ignore", message="Checkpoint directory .* exists and is not empty."
        )
        trainer.fit(
            model,
            StepStream(trainer),
            ckpt_path=folder / resume if resume else None,
        )
    return trainer


class TestParts:
    def test_encode_splits_means_from_log_variances(self) -> None:
        """The encoder's first half is mu, its second logvar."""
        model, x = make_model(), make_batch(0)
        mu, logvar = model.encode(x)

        assert mu.shape == logvar.shape == (8, 5)
        assert torch.equal(torch.cat([mu, logvar], dim=1), model.encoder(x))

    def test_posterior_is_float32_in_mixed_precision(self) -> None:
        """Under autocast the encoder's products are halves, but not its outputs."""
        model, x = make_model(), make_batch(0)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            products, outputs = model.encoder(x), model(x)

        assert products.dtype == torch.bfloat16
        assert outputs.mu.dtype == outputs.logvar.dtype == torch.float32

    def test_reparameterize_draws_from_the_posterior(self) -> None:
        """Samples have mean mu and variance exp(logvar)."""
        torch.manual_seed(0)
        mu = torch.tensor([-1.0, 0.0, 3.0]).expand(100_000, 3)
        logvar = torch.tensor([-2.0, 0.0, 1.0]).expand(100_000, 3)
        z = make_model().reparameterize(mu, logvar)

        torch.testing.assert_close(z.mean(0), mu[0], atol=0.02, rtol=0)
        torch.testing.assert_close(z.var(0), logvar[0].exp(), atol=0, rtol=0.02)

    def test_reparameterize_passes_gradients(self) -> None:
        """dz/dmu is 1 and dz/dlogvar half the noise: the draw can be learned through."""
        mu = torch.zeros(4, 5, requires_grad=True)
        logvar = torch.zeros(4, 5, requires_grad=True)
        z = make_model().reparameterize(mu, logvar)
        z.sum().backward()

        assert torch.equal(mu.grad, torch.ones(4, 5))
        torch.testing.assert_close(logvar.grad, 0.5 * z.detach())

    def test_forward(self) -> None:
        """One pass gives the logits of a drawn code, and the posterior it was drawn from."""
        model, x = make_model(), make_batch(0)
        torch.manual_seed(7)
        outputs = model(x)
        torch.manual_seed(7)
        mu, logvar = model.encode(x)

        assert isinstance(outputs, Outputs)
        assert torch.equal(outputs.mu, mu)
        assert torch.equal(outputs.logvar, logvar)
        assert torch.equal(outputs.logits, model.decode(model.reparameterize(mu, logvar)))
        assert outputs.logits.shape == x.shape

    def test_convolutions_keep_channels_innermost(self) -> None:
        """Every convolution of more than one channel is stored in the fast memory format."""
        weights = [p for p in make_model(network="conv").parameters() if p.ndim == 4]

        assert len(weights) == 6
        assert all(w.is_contiguous(memory_format=torch.channels_last) for w in weights)


class TestTrainingStep:
    def test_loss(self) -> None:
        """The losses are those of a β-VAE; their detached parts are kept."""
        model, x = make_model(beta=7.0), make_batch(0)
        assert model.latest is None
        torch.manual_seed(3)
        loss = model.losses(x).loss
        torch.manual_seed(3)
        logits, mu, logvar = model(x)
        expected = beta_vae_loss(x, logits, mu, logvar, beta=7.0)

        assert loss.requires_grad
        assert model.latest is not None
        assert not any(part.requires_grad for part in model.latest)
        torch.testing.assert_close(tuple(model.latest), tuple(part.detach() for part in expected))

    @pytest.mark.parametrize(("beta", "nats"), [(1.0, 10.0), (300.0, 0.1)])
    def test_beta_presses_the_kl_down(self, beta: float, nats: float, tmp_path: Path) -> None:
        """After 150 steps the codes carry nats at β = 1 and have collapsed at β = 300."""
        model = make_model(beta=beta, lr=3e-3)
        fit(model, tmp_path, max_steps=150)

        assert model.latest is not None
        assert (model.latest.kl.item() > nats) == (beta == 1.0)
        assert model.latest.recon.item() < 450  # black images cost 710 before training

    def test_same_seed_same_numbers(self, tmp_path: Path) -> None:
        """Two fits from one seed end in equal weights, and from another in others."""
        states = []
        for seed in (1, 1, 2):
            model = make_model()
            pl.seed_everything(seed, verbose=False)
            fit(model, tmp_path, max_steps=5)
            states.append(torch.cat([p.flatten() for p in model.parameters()]))

        assert torch.equal(states[0], states[1])
        assert not torch.equal(states[0], states[2])


class TestNonFiniteLoss:
    def test_stops_at_the_step(self, tmp_path: Path) -> None:
        """A learning rate that blows up ends the fit, and the message says where and what to do."""
        model = make_model(lr=1e12)
        with pytest.raises(
            NonFiniteLossError, match=r"at step 2 .* lower optimizer.lr, now 1e\+12"
        ):
            fit(model, tmp_path, max_steps=20)

    def test_first_step(self) -> None:
        """Steps count from 1: a NaN in the first batch is step 1."""
        with pytest.raises(NonFiniteLossError, match=r"got nan at step 1 \(recon nan"):
            make_model().losses(torch.full((2, *SHAPE), float("nan")))

    @pytest.fixture
    def on_gpu(self, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        """Pretend that the model is on a GPU; the steps at which the loss was read."""
        steps: list[int] = []
        check = BetaVAE._check_finite

        def spy(self: BetaVAE, losses: Losses, *, step: int) -> None:
            steps.append(step)
            check(self, losses, step=step)

        monkeypatch.setattr(BetaVAE, "device", property(lambda self: torch.device("cuda")))
        monkeypatch.setattr(BetaVAE, "_check_finite", spy)
        return steps

    def test_gpu_is_asked_seldom(self, on_gpu: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
        """On a GPU the loss is read at every fiftieth step and at the end."""
        model = make_model()
        for step in range(120):
            monkeypatch.setattr(BetaVAE, "global_step", property(lambda self, step=step: step))
            model.losses(make_batch(step)[:1])
        monkeypatch.setattr(BetaVAE, "global_step", property(lambda self: 120))
        model.on_train_end()

        assert on_gpu == [1, 51, 101, 120]

    def test_gpu_end_of_fit(self, on_gpu: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
        """A NaN after the last reading is found when the fit ends."""
        model = make_model()
        monkeypatch.setattr(BetaVAE, "global_step", property(lambda self: 7))
        model.losses(torch.full((2, *SHAPE), float("nan")))
        with pytest.raises(NonFiniteLossError, match="at step 7 "):
            model.on_train_end()
        assert on_gpu == [7]


class TestOptimizer:
    @pytest.mark.parametrize(
        ("name", "expected"), [("adam", torch.optim.Adam), ("adagrad", torch.optim.Adagrad)]
    )
    def test_by_name(self, name: str, expected: type[torch.optim.Optimizer]) -> None:
        """The optimiser is the one named, with the learning rate given, over all weights."""
        model = make_model(optimizer=name, lr=0.05)
        optimizer = model.configure_optimizers()

        assert type(optimizer) is expected
        assert optimizer.defaults["lr"] == 0.05
        assert len(optimizer.param_groups[0]["params"]) == len(list(model.parameters()))

    @pytest.mark.parametrize("name", ["adam", "adagrad"])
    def test_fused_steps_are_the_plain_ones(self, name: str) -> None:
        """Three fused steps move the weights where three plain steps do."""
        weights = []
        for fused in (True, False):
            model = make_model(optimizer=name)
            optimizer = model.configure_optimizers()
            assert optimizer.defaults["fused"] is True
            optimizer.param_groups[0].update(fused=fused, foreach=False)
            for step in range(3):
                torch.manual_seed(step)
                optimizer.zero_grad()
                model.losses(make_batch(step)).loss.backward()
                optimizer.step()
            weights.append([p.detach() for p in model.parameters()])

        torch.testing.assert_close(*weights, atol=2e-5, rtol=1e-4)

    def test_unknown(self) -> None:
        """An unknown optimiser is refused with the known ones."""
        with pytest.raises(ConfigError, match="optimizer among adagrad, adam, got 'sgd'"):
            make_model(optimizer="sgd")


class TestCheckpoint:
    @pytest.mark.parametrize("optimizer", ["adam", "adagrad"])
    def test_resumed_fit_is_the_uninterrupted_one(self, optimizer: str, tmp_path: Path) -> None:
        """Continued from its ninth step, a fit ends in the very weights it had after twenty."""
        straight = make_model(optimizer=optimizer)
        fit(straight, tmp_path, max_steps=20, save_every=9)

        resumed = make_model(optimizer=optimizer)
        torch.manual_seed(999)  # another process has drawn other numbers
        trainer = fit(resumed, tmp_path, max_steps=20, save_every=9, resume="step=9.ckpt")

        assert trainer.global_step == 20
        for a, b in zip(straight.parameters(), resumed.parameters(), strict=True):
            assert torch.equal(a, b)

    def test_holds_plain_things_only(self, tmp_path: Path) -> None:
        """A checkpoint loads without unpickling code, and gives back the hyper-parameters."""
        fit(make_model(network="conv", beta=2.5), tmp_path, max_steps=1, save_every=1)
        checkpoint = torch.load(tmp_path / "step=1.ckpt", weights_only=True)

        assert checkpoint["hyper_parameters"] == {
            "network": "conv",
            "image_shape": (1, 32, 32),
            "latent_dim": 5,
            "beta": 2.5,
            "optimizer": "adam",
            "variance": None,
            "lr": 1e-3,
        }

    def test_loading_a_model_leaves_the_generator_alone(self, tmp_path: Path) -> None:
        """Only a resumed fit continues the checkpoint's noise."""
        fit(make_model(), tmp_path, max_steps=1, save_every=1)
        checkpoint = torch.load(tmp_path / "step=1.ckpt", weights_only=True)
        model = make_model()
        before = torch.get_rng_state()
        assert not torch.equal(checkpoint["generator_states"]["cpu"], before)
        model.on_load_checkpoint(checkpoint)

        assert torch.equal(torch.get_rng_state(), before)

    @pytest.fixture(params=["cuda", "mps"])
    def device(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Device:
        """Pretend that the model is on a device with a generator of its own."""
        double = Device(request.param)
        monkeypatch.setattr(BetaVAE, "device", property(lambda self: torch.device(double.name)))
        monkeypatch.setattr(getattr(torch, double.name), "get_rng_state", double.get)
        monkeypatch.setattr(getattr(torch, double.name), "set_rng_state", double.set)
        return double

    def test_noise_of_a_device_goes_on(self, device: Device) -> None:
        """The state of its generator is saved, and is set again when a fit is resumed."""
        checkpoint: dict[str, Any] = {}
        make_model().on_save_checkpoint(checkpoint)
        resumed = make_model()
        saved, device.state = device.state, torch.zeros(3, dtype=torch.uint8)
        resumed.on_load_checkpoint(checkpoint)
        assert not torch.equal(device.state, saved)
        resumed.on_train_start()

        assert torch.equal(device.state, saved)

    def test_another_device_has_noise_of_its_own(
        self, device: Device, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A checkpoint of a device is resumed on the CPU without touching that device."""
        checkpoint: dict[str, Any] = {}
        make_model().on_save_checkpoint(checkpoint)
        monkeypatch.setattr(BetaVAE, "device", property(lambda self: torch.device("cpu")))
        device.state = untouched = torch.zeros(3, dtype=torch.uint8)
        resumed = make_model()
        resumed.on_load_checkpoint(checkpoint)
        resumed.on_train_start()

        assert device.state is untouched

    def test_load_from_checkpoint(self, tmp_path: Path) -> None:
        """A loaded model encodes as the trained one did."""
        model = make_model(network="conv")
        fit(model, tmp_path, max_steps=1, save_every=1)
        loaded = BetaVAE.load_from_checkpoint(tmp_path / "step=1.ckpt", weights_only=True)

        assert torch.equal(loaded.encode(make_batch(9))[0], model.encode(make_batch(9))[0])
