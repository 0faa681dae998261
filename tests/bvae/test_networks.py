import pytest
import torch
from torch import nn

from bvae.exceptions import ConfigError
from bvae.image_shape import CHANNELS, RESOLUTIONS
from bvae.networks import NETWORKS, build_networks


def sizes(network: nn.Module, layer: type[nn.Module]) -> list[tuple[int, int]]:
    """The weight shapes (out, in) of the layers of one type, first to last."""
    return [tuple(m.weight.shape[:2]) for m in network.modules() if isinstance(m, layer)]


class TestBuildNetworks:
    @pytest.mark.parametrize("latent_dim", [1, 10])
    @pytest.mark.parametrize("resolution", RESOLUTIONS)
    @pytest.mark.parametrize("channels", CHANNELS)
    @pytest.mark.parametrize("name", NETWORKS)
    def test_shapes(self, name: str, channels: int, resolution: int, latent_dim: int) -> None:
        """Every network encodes to 2M numbers and decodes to an image, at every size."""
        shape = (channels, resolution, resolution)
        with torch.device("meta"):  # shapes without numbers
            encoder, decoder = build_networks(name, image_shape=shape, latent_dim=latent_dim)
            codes, images = encoder(torch.rand(2, *shape)), decoder(torch.randn(2, latent_dim))

        assert codes.shape == (2, 2 * latent_dim)
        assert images.shape == (2, *shape)

    def test_mlp_layers(self) -> None:
        """`mlp` is 1024-128-128 at 32 pixels and 4096-512-256 at 64, mirrored in the decoder."""
        small = build_networks("mlp", image_shape=(1, 32, 32), latent_dim=5)
        large = build_networks("mlp", image_shape=(1, 64, 64), latent_dim=5)

        assert sizes(small.encoder, nn.Linear) == [(128, 1024), (128, 128), (10, 128)]
        assert sizes(small.decoder, nn.Linear) == [(128, 5), (128, 128), (1024, 128)]
        assert sizes(large.encoder, nn.Linear) == [(512, 4096), (256, 512), (10, 256)]
        assert sizes(large.decoder, nn.Linear) == [(256, 5), (512, 256), (4096, 512)]

    def test_conv_layers(self) -> None:
        """`conv` at 64 pixels is four convolutions of 32 channels, then 512-256-256."""
        encoder, decoder = build_networks("conv", image_shape=(1, 64, 64), latent_dim=10)

        assert sizes(encoder, nn.Conv2d) == [(32, 1), (32, 32), (32, 32), (32, 32)]
        assert sizes(encoder, nn.Linear) == [(256, 512), (256, 256), (20, 256)]
        assert sizes(decoder, nn.Linear) == [(256, 10), (256, 256), (512, 256)]
        # Transposed convolutions keep their weights as (in, out).
        assert sizes(decoder, nn.ConvTranspose2d) == [(32, 32), (32, 32), (32, 32), (32, 1)]

    @pytest.mark.parametrize(("side", "depth"), [(32, 3), (64, 4), (128, 5), (256, 6)])
    def test_the_dense_layers_of_conv_see_as_much_at_any_size(self, side: int, depth: int) -> None:
        """One convolution more for twice the side leaves 32 maps of 4x4."""
        encoder, _ = build_networks("conv", image_shape=(1, side, side), latent_dim=10)

        assert sizes(encoder, nn.Conv2d) == [(32, 1)] + [(32, 32)] * (depth - 1)
        assert sizes(encoder, nn.Linear)[0] == (256, 512)

    def test_higgins_layers(self) -> None:
        """`higgins` has two ReLU layers of 1200 in the encoder, three tanh ones in the decoder."""
        encoder, decoder = build_networks("higgins", image_shape=(1, 64, 64), latent_dim=10)

        assert sizes(encoder, nn.Linear) == [(1200, 4096), (1200, 1200), (20, 1200)]
        assert sizes(decoder, nn.Linear) == [(1200, 10), (1200, 1200), (1200, 1200), (4096, 1200)]
        assert [type(m) for m in encoder][1:] == [nn.Linear, nn.ReLU, nn.Linear, nn.ReLU, nn.Linear]
        assert sum(isinstance(m, nn.Tanh) for m in decoder) == 3
        assert not any(isinstance(m, nn.ReLU) for m in decoder)

    @pytest.mark.parametrize("name", NETWORKS)
    def test_outputs_are_unbounded(self, name: str) -> None:
        """Neither half ends in an activation: means, log-variances and logits take any value."""
        encoder, decoder = build_networks(name, image_shape=(1, 32, 32), latent_dim=10)
        *_, last = (m for m in decoder if not isinstance(m, nn.Unflatten))

        assert isinstance(encoder[-1], nn.Linear)
        assert isinstance(last, nn.Linear | nn.ConvTranspose2d)

    @pytest.mark.parametrize("name", NETWORKS)
    def test_every_weight_gets_a_gradient(self, name: str) -> None:
        """No layer is left out of the path from image to logits."""
        encoder, decoder = build_networks(name, image_shape=(3, 32, 32), latent_dim=4)
        mu, _ = encoder(torch.rand(4, 3, 32, 32)).chunk(2, dim=1)
        decoder(mu).square().sum().backward()

        parameters = {
            f"{half}.{name}": parameter
            for half, network in (("encoder", encoder), ("decoder", decoder))
            for name, parameter in network.named_parameters()
        }
        assert {"encoder", "decoder"} == {name.split(".")[0] for name in parameters}
        assert [] == [n for n, p in parameters.items() if p.grad is None or not p.grad.any()]


class TestMistakes:
    def test_unknown_name(self) -> None:
        """An unknown network is answered with the nearest one."""
        with pytest.raises(ConfigError, match="'higins'; did you mean higgins"):
            build_networks("higins", image_shape=(1, 32, 32), latent_dim=2)

    def test_unknown_name_like_none(self) -> None:
        """A name like no network gets the list, without a guess."""
        with pytest.raises(ConfigError, match=r"'xyz'; known: conv, higgins, mlp$"):
            build_networks("xyz", image_shape=(1, 32, 32), latent_dim=2)

    @pytest.mark.parametrize("shape", [(1, 28, 28), (1, 32, 64), (2, 64, 64), (1, 512, 512)])
    def test_unsupported_shape(self, shape: tuple[int, int, int]) -> None:
        """Other resolutions, oblongs and channel counts are refused."""
        with pytest.raises(ConfigError, match="128x128 or 256x256 pixels, got"):
            build_networks("mlp", image_shape=shape, latent_dim=2)

    def test_all_at_once(self) -> None:
        """Three mistakes make one message of three lines."""
        lines = r"\Aexpected latent_dim >= 1, got 0\nno such network: .*\nexpected images of .*\Z"
        with pytest.raises(ConfigError, match=lines):
            build_networks("conf", image_shape=(1, 28, 28), latent_dim=0)
