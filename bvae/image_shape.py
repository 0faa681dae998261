"""The shape of an image, and the ones a network can be built for; it imports nothing."""

ImageShape = tuple[int, int, int]
"""Channels, height and width: (C, H, W)."""

RESOLUTIONS = (32, 64, 128)
"""Heights of images, which are square."""

CHANNELS = (1, 3)
"""Grey, and colour."""
