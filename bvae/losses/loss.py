"""What a loss is.

Shapes: B images in the batch, M latents, [C, H, W] one image.
"""

from collections.abc import Mapping

from torch import Tensor, nn

from bvae.losses.kl import kl_nats
from bvae.losses.likelihood import nll


class Loss(nn.Module):
    """A loss, and the contract of all of them; one of your own need not derive from this class.

    It is built from those of `latent_dim` (M), `n_images` (how many images are trained on),
    `beta` and `variance` (of Gaussian pixels; None: they are Bernoulli) that its `__init__` names,
    and from what its file in `conf/loss/` gives beside these; all by keyword.

    `forward(x, logits, mu, logvar, z, step)`, called by keyword, returns parts by name: scalars in
    nats, means over the batch. `loss` must be among them: the model's optimiser makes it small.
    Ours also return `recon`, `kl` and what they add to these; all of them are in the history.

    It may own parameters and buffers, which are in the checkpoint. The model's optimiser trains
    its parameters, unless it has both of

    - `configure_optimizer(self) -> torch.optim.Optimizer`, over its own parameters, and
    - `own_loss(self, z, z_second) -> Tensor`, which that optimiser makes small after each step of
      the model's. Both are samples [B, M] without gradient: z the one that `forward` had, z_second
      of other images, or z again without a second batch.

    What it computes at a step may depend on `step`, not on how often it was called: it is called
    for validation too. It is given float32, but for logits, which mixed precision makes halves.

    Attributes:
        second_batch: whether a step needs a second batch of B other images, for z_second.
    """

    second_batch: bool = False

    def __init__(self, *, beta: float, variance: float | None = None) -> None:
        super().__init__()
        self.beta = beta
        self.variance = variance

    def forward(
        self, x: Tensor, logits: Tensor, mu: Tensor, logvar: Tensor, z: Tensor, step: int
    ) -> Mapping[str, Tensor]:
        """The parts of the loss of a batch by name, scalars in nats.

        Args:
            x: [B, C, H, W], pixels in 0..1.
            logits: [B, C, H, W], what the decoder says of them.
            mu: [B, M], posterior means.
            logvar: [B, M], logarithms of the posterior variances.
            z: [B, M], the samples that were decoded.
            step: how many steps the optimiser has taken before.
        """
        raise NotImplementedError

    def recon_and_kl(
        self, x: Tensor, logits: Tensor, mu: Tensor, logvar: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The two terms that every loss has, as `bvae.losses` defines them."""
        return nll(logits, x, variance=self.variance).mean(), kl_nats(mu, logvar)
