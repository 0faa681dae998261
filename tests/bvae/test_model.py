import warnings
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
import yaml

from bvae.config import NETWORKS, directory, groups
from bvae.exceptions import ConfigError, NonFiniteLossError
from bvae.losses import BetaVAELoss
from bvae.model import BetaVAE, Outputs

SHAPE = (1, 32, 32)


def make_model(
    *,
    network: str = "mlp",
    beta: float = 4.0,
    optimizer: str = "adam",
    lr: float = 1e-3,
    loss: dict[str, Any] | None = None,
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
        loss=loss,
        n_images=1000,
    )


def make_losses(model: BetaVAE, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """The parts of the loss of one pass."""
    return dict(model.losses(x, model(x)))


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
        second = self.trainer.lightning_module.second_batch
        while True:
            yield [make_batch(step).repeat(2 if second else 1, 1, 1, 1)]
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
        assert torch.equal(outputs.z, model.reparameterize(mu, logvar))
        assert torch.equal(outputs.logits, model.decode(outputs.z))
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
        parts = make_losses(model, x)
        torch.manual_seed(3)
        expected = BetaVAELoss(beta=7.0)(x, *model(x), 0)

        assert parts["loss"].requires_grad
        assert model.latest is not None
        assert not any(part.requires_grad for part in model.latest.values())
        torch.testing.assert_close(
            model.latest, {name: part.detach() for name, part in expected.items()}
        )

    @pytest.mark.parametrize(("beta", "nats"), [(1.0, 10.0), (300.0, 0.1)])
    def test_beta_presses_the_kl_down(self, beta: float, nats: float, tmp_path: Path) -> None:
        """After 150 steps the codes carry nats at β = 1 and have collapsed at β = 300."""
        model = make_model(beta=beta, lr=3e-3)
        fit(model, tmp_path, max_steps=150)

        assert model.latest is not None
        assert (model.latest["kl"].item() > nats) == (beta == 1.0)
        assert model.latest["recon"].item() < 450  # black images cost 710 before training

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


class Own(torch.nn.Module):
    """A loss of a user's: with a weight, a part that it adds, and no base class."""

    def __init__(self, *, latent_dim: int, bad: bool = False) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(latent_dim))
        self.bad = bad

    def forward(self, x: Any, logits: Any, mu: Any, logvar: Any, z: Any, step: int) -> Any:
        """The squared error and the weighted squares of the means."""
        extra = (self.weight * mu).square().mean() * (float("nan") if self.bad else 1.0)
        return {"loss": (logits - x).square().mean() + extra, "extra": extra}


class OwnOptimizer(Own):
    """The same with an optimiser that maximises its own weight by the codes, without a batch."""

    def own_loss(self, z: torch.Tensor, z_second: torch.Tensor) -> torch.Tensor:
        """Falls where the weight follows the codes of the batch, which are those of the second."""
        assert z is z_second
        assert not z.requires_grad
        return -(self.weight * z.square()).mean()

    def configure_optimizer(self) -> torch.optim.Optimizer:
        """Plain gradient descent."""
        return torch.optim.SGD([self.weight], lr=1.0)


OWN, OWN_OPTIMIZER = ({"_target_": f"{__name__}.{name}"} for name in ("Own", "OwnOptimizer"))

LOSSES: dict[str, dict[str, Any]] = {
    "annealed_vae": {"_target_": "bvae.losses.AnnealedVAELoss", "c_max": 5.0, "c_steps": 4},
    "beta_tcvae": {"_target_": "bvae.losses.BetaTCVAELoss", "estimator": "stratified"},
    "cyclical": {
        "_target_": "bvae.losses.BetaVAELoss",
        "schedule": "cyclical",
        "schedule_steps": 8,
    },
    "dip": {"_target_": "bvae.losses.DIPVAELoss", "variant": "ii", "diagonal_factor": 1.0},
    "factor_vae": {"_target_": "bvae.losses.FactorVAELoss", "discriminator_width": 16},
}


class TestLoss:
    def test_the_models_optimizer_trains_its_parameters(self, tmp_path: Path) -> None:
        """A loss without an optimiser of its own is trained with the model."""
        model = make_model(loss=OWN)
        ((optimizer,), _) = model.configure_optimizers()
        fit(model, tmp_path, max_steps=2)

        assert any(model.loss.weight is p for p in optimizer.param_groups[0]["params"])
        assert not torch.equal(torch.ones(5), model.loss.weight)
        assert {"loss", "extra"} == (model.latest or {}).keys()

    def test_its_arguments_are_named(self, tmp_path: Path) -> None:
        """A forward that names them in another order is given what it names."""
        model = make_model(loss={"_target_": "tests.bvae.test_first_pass.Turned"})
        fit(model, tmp_path, max_steps=1)

        assert {"loss"} == (model.latest or {}).keys()

    def test_an_optimizer_of_its_own_trains_them_alone(self, tmp_path: Path) -> None:
        """Each has its own parameters; a step of both is one step, and its loss is kept."""
        model = make_model(loss=OWN_OPTIMIZER)
        (optimizer, own), _ = model.configure_optimizers()
        trainer = fit(model, tmp_path, max_steps=3)

        assert not any(model.loss.weight is p for p in optimizer.param_groups[0]["params"])
        assert own.param_groups[0]["params"][0] is model.loss.weight
        assert 3 == trainer.global_step
        assert (model.loss.weight > 1).all()  # the model's loss would have them fall
        assert {"loss", "extra", "own_loss"} == (model.latest or {}).keys()

    def test_the_second_batch_is_the_discriminators(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its first half is trained on; of the second only the codes are seen, without gradient."""
        model = make_model(loss=LOSSES["factor_vae"])
        own_loss, seen = model.loss.own_loss, []

        def spy(z: torch.Tensor, z_second: torch.Tensor) -> torch.Tensor:
            seen.append((z, z_second))
            found: torch.Tensor = own_loss(z, z_second)
            return found

        monkeypatch.setattr(model.loss, "own_loss", spy)
        fit(model, tmp_path, max_steps=1)

        ((z, z_second),) = seen
        assert (8, 5) == tuple(z.shape) == tuple(z_second.shape)
        assert not z.requires_grad
        assert not z_second.requires_grad
        assert not torch.equal(z, z_second)

    def test_the_own_loss_is_float32_in_mixed_precision(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nothing scales its gradients, so that autocast is off there."""
        model = make_model(loss=LOSSES["factor_vae"])
        x = make_batch(0)
        dtypes = []
        hook = model.loss.discriminator[0].register_forward_hook(
            lambda *given: dtypes.append(given[2].dtype)
        )
        with torch.autocast("cpu", dtype=torch.bfloat16):
            outputs = model(x)
            model.losses(x, outputs)
            model.own_step(outputs.z.detach(), x, model.configure_optimizers()[0][1])
        hook.remove()

        assert [torch.float32] * 3 == dtypes

    def test_the_step_is_the_one_of_the_training(self, tmp_path: Path) -> None:
        """The capacity at the fourth step is that after three."""
        model = make_model(loss=LOSSES["annealed_vae"])
        fit(model, tmp_path, max_steps=4)

        assert model.latest is not None
        assert 3 * 5 / 4 == model.latest["capacity"].item()

    def test_a_nan_of_its_own_is_named(self, tmp_path: Path) -> None:
        """The message lists every part, so that the bad one is seen."""
        model = make_model(loss=OWN | {"bad": True})
        with pytest.raises(NonFiniteLossError, match=r"got nan at step 1 \(extra nan, beta 4\)"):
            fit(model, tmp_path, max_steps=2)

    def test_one_that_cannot_be_built(self) -> None:
        """What is wrong with it is a mistake of the configuration."""
        with pytest.raises(ConfigError, match="Own: got an unexpected keyword argument 'depth'"):
            make_model(loss=OWN | {"depth": 3})


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
            make_losses(make_model(), torch.full((2, *SHAPE), float("nan")))

    @pytest.fixture
    def on_gpu(self, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        """Pretend that the model is on a GPU; the steps at which the loss was read."""
        steps: list[int] = []
        check = BetaVAE._check_finite

        def spy(self: BetaVAE, parts: Any, *, step: int) -> None:
            steps.append(step)
            check(self, parts, step=step)

        monkeypatch.setattr(BetaVAE, "device", property(lambda self: torch.device("cuda")))
        monkeypatch.setattr(BetaVAE, "_check_finite", spy)
        return steps

    def test_gpu_is_asked_seldom(self, on_gpu: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
        """On a GPU the loss is read at every fiftieth step and at the end."""
        model = make_model()
        for step in range(120):
            monkeypatch.setattr(BetaVAE, "global_step", property(lambda self, step=step: step))
            make_losses(model, make_batch(step)[:1])
        monkeypatch.setattr(BetaVAE, "global_step", property(lambda self: 120))
        model.on_train_end()

        assert on_gpu == [1, 51, 101, 120]

    def test_gpu_end_of_fit(self, on_gpu: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
        """A NaN after the last reading is found when the fit ends."""
        model = make_model()
        monkeypatch.setattr(BetaVAE, "global_step", property(lambda self: 7))
        make_losses(model, torch.full((2, *SHAPE), float("nan")))
        with pytest.raises(NonFiniteLossError, match="at step 7 "):
            model.on_train_end()
        assert on_gpu == [7]


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("name", sorted({*groups()["loss"]} - {"own"}))
def test_a_step_waits_for_no_device(
    network: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two checks no value is asked for: tensors of torch's meta device have none."""
    monkeypatch.setattr(BetaVAE, "global_step", 1)
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # has no meta device
    part = yaml.safe_load((directory() / f"loss/{name}.yaml").read_text("utf-8"))
    model = make_model(network=network, loss=part).to("meta")
    x = torch.rand(8, *SHAPE, device="meta")

    model.losses(x, model(x))["loss"].backward()

    assert all(weights.grad is not None for weights in model.encoder.parameters())


class TestOptimizer:
    @pytest.mark.parametrize(
        ("name", "expected"), [("adam", torch.optim.Adam), ("adagrad", torch.optim.Adagrad)]
    )
    def test_by_name(self, name: str, expected: type[torch.optim.Optimizer]) -> None:
        """The optimiser is the one named, with the learning rate given, over all weights."""
        model = make_model(optimizer=name, lr=0.05)
        ((optimizer,), _) = model.configure_optimizers()

        assert type(optimizer) is expected
        assert optimizer.defaults["lr"] == 0.05
        assert len(optimizer.param_groups[0]["params"]) == len(list(model.parameters()))

    @pytest.mark.parametrize("name", ["adam", "adagrad"])
    def test_fused_steps_are_the_plain_ones(self, name: str) -> None:
        """Three fused steps move the weights where three plain steps do."""
        weights = []
        for fused in (True, False):
            model = make_model(optimizer=name)
            ((optimizer,), _) = model.configure_optimizers()
            assert optimizer.defaults["fused"] is True
            optimizer.param_groups[0].update(fused=fused, foreach=False)
            for step in range(3):
                torch.manual_seed(step)
                optimizer.zero_grad()
                make_losses(model, make_batch(step))["loss"].backward()
                optimizer.step()
            weights.append([p.detach() for p in model.parameters()])

        torch.testing.assert_close(*weights, atol=2e-5, rtol=1e-4)

    def test_unknown(self) -> None:
        """An unknown optimiser is refused with the known ones."""
        with pytest.raises(ConfigError, match="optimizer among adam, adagrad, got 'sgd'"):
            make_model(optimizer="sgd").configure_optimizers()


class TestOwnOptimizer:
    def test_any_of_torchs_with_its_arguments(self) -> None:
        """The `_target_` is called with the parameters, the learning rate and further keys."""
        part = {"name": "own", "_target_": "torch.optim.AdamW", "weight_decay": 0.3}
        ((optimizer,), _) = make_model(optimizer=part, lr=0.02).configure_optimizers()

        assert type(optimizer) is torch.optim.AdamW
        assert (0.02, 0.3) == (optimizer.defaults["lr"], optimizer.defaults["weight_decay"])

    def test_arguments_of_ours(self) -> None:
        """Further keys are arguments of Adam, which stays fused."""
        part = {"name": "adam", "eps": 1e-4}
        ((optimizer,), _) = make_model(optimizer=part).configure_optimizers()

        assert (1e-4, True) == (optimizer.defaults["eps"], optimizer.defaults["fused"])

    @pytest.mark.parametrize(
        ("part", "message"),
        [
            ({"_target_": "torch.optim.Nope"}, r"^optimizer: torch\.optim\.Nope cannot be built"),
            ({"_target_": "torch.optim.SGD", "momentun": 0.9}, "unexpected keyword .*momentun"),
            ({"_target_": "torch.optim.SGD", "momentum": -1}, "optimizer: .* raised ValueError"),
            ({"_target_": "builtins.dict"}, "optimizer: "),
            (
                {"name": "adam", "schedule": {"_target_": "torch.optim.lr_scheduler.StepLR"}},
                "optimizer.schedule: .*step_size",
            ),
        ],
    )
    def test_mistakes_begin_with_the_key(self, part: dict[str, Any], message: str) -> None:
        """What cannot be built is refused with its place in the configuration."""
        with pytest.raises(ConfigError, match=message):
            make_model(optimizer=part).configure_optimizers()

    def test_schedule_moves_at_each_step(self, tmp_path: Path) -> None:
        """The learning rate falls step by step, and is resumed."""
        schedule = {"_target_": "torch.optim.lr_scheduler.LinearLR", "end_factor": 0.0}
        part = {"name": "adam", "schedule": schedule | {"start_factor": 1.0, "total_iters": 10}}
        whole = fit(make_model(optimizer=part), tmp_path / "whole", max_steps=6)
        fit(make_model(optimizer=part), tmp_path / "parts", max_steps=3, save_every=3)
        resumed = fit(
            make_model(optimizer=part), tmp_path / "parts", max_steps=6, resume="step=3.ckpt"
        )

        assert pytest.approx(0.4e-3) == whole.optimizers[0].param_groups[0]["lr"]
        found = resumed.lightning_module.state_dict()
        for name, value in whole.lightning_module.state_dict().items():
            assert torch.equal(value, found[name])


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

    @pytest.mark.parametrize(
        "name", ["annealed_vae", "beta_tcvae", "cyclical", "dip", "factor_vae"]
    )
    def test_every_loss_is_resumed(self, name: str, tmp_path: Path) -> None:
        """Three steps and three more are six: all weights and both optimisers' moments."""
        straight, resumed = (make_model(loss=LOSSES[name]) for _ in range(2))
        one = fit(straight, tmp_path, max_steps=6, save_every=3)
        torch.manual_seed(999)
        two = fit(resumed, tmp_path, max_steps=6, resume="step=3.ckpt")

        assert 6 == one.global_step == two.global_step
        assert one.optimizers[0].state[straight.encoder[1].weight]["step"] == 6
        for a, b in zip(straight.parameters(), resumed.parameters(), strict=True):
            assert torch.equal(a, b)
        for mine, other in zip(one.optimizers, two.optimizers, strict=True):
            states = (optimizer.state_dict()["state"] for optimizer in (mine, other))
            torch.testing.assert_close(*states, rtol=0, atol=0)
        assert straight.latest == resumed.latest

    def test_holds_plain_things_only(self, tmp_path: Path) -> None:
        """A checkpoint loads without unpickling code, and gives back the hyper-parameters."""
        fit(make_model(network="conv", beta=2.5), tmp_path, max_steps=1, save_every=1)
        checkpoint = torch.load(tmp_path / "step=1.ckpt", weights_only=True)

        assert checkpoint["hyper_parameters"] == {
            "network": "conv",
            "encoder": None,
            "decoder": None,
            "image_shape": (1, 32, 32),
            "latent_dim": 5,
            "beta": 2.5,
            "optimizer": "adam",
            "variance": None,
            "lr": 1e-3,
            "loss": None,
            "n_images": 1000,
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
