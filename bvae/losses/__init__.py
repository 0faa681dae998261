"""What a model is trained to make small, and what β means.

    loss = recon + β · KL        (the β-VAE; Higgins et al. 2017, eq. 4)

recon is the negative log-likelihood, summed over pixels and channels; KL is the divergence of the
posterior from N(0, I), summed over latents; both are means over the batch, in nats. β then means
what it means in the paper. A loss that averages over pixels scales β by the image size. Every loss
keeps this convention, and β weighs its regulariser, whatever letter the paper has for it.

Pixels that are black or white are Bernoulli; grey ones and colours are Gaussian, with the sigmoid
of the decoder's logits as mean and one fixed variance σ². With it

    loss = (SE + 2 σ² β · KL) / (2 σ²) + N/2 · log(2 π σ²),

SE the squared error summed over pixels: only the product β σ² says where the optimum lies, so that
a β is one only together with its variance. σ² = ½ is the plain squared error. A variance that is
learned goes to SE/N, so that β would weigh less the better the images are drawn, and another thing
at each step; hence it is fixed.

`loss.Loss` says what a loss is: what it is built from, what it takes and what it returns.
"""

from bvae.losses.annealed_vae import AnnealedVAELoss
from bvae.losses.beta_tcvae import BetaTCVAELoss
from bvae.losses.beta_vae import BetaVAELoss
from bvae.losses.dip_vae import DIPVAELoss
from bvae.losses.factor_vae import FactorVAELoss
from bvae.losses.kl import kl_nats, kl_per_latent
from bvae.losses.likelihood import bernoulli_nll, gaussian_nll, least_nll, nll
from bvae.losses.loss import Loss

__all__ = [
    "AnnealedVAELoss",
    "BetaTCVAELoss",
    "BetaVAELoss",
    "DIPVAELoss",
    "FactorVAELoss",
    "Loss",
    "bernoulli_nll",
    "gaussian_nll",
    "kl_nats",
    "kl_per_latent",
    "least_nll",
    "nll",
]
