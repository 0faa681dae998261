"""The shape of an image, and the ones a network can be built for; it imports nothing."""

ImageShape = tuple[int, int, int]
"""Channels, height and width: (C, H, W)."""

RESOLUTIONS = (32, 64, 128, 256)
"""Heights of the square images that our networks can be built for."""

CHANNELS = (1, 3)
"""Grey, and colour."""
