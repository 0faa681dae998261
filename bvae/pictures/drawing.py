"""Arrays in, PNG and GIF out: grids of reconstructions and traversals, and animations; no torch.

A picture is uint8 [height, width, 3]: tiles on white, dark text.

Shapes: n images, M latents, S steps of a traversal, [C, H, W] one image with values in 0..1.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from bvae.files import replace_atomically

Picture = NDArray[np.uint8]

TILE_PX = 96  # small images are enlarged to at least this, by a whole factor
MARGIN_PX = 12
SEPARATOR_PX = 2
LINE_PX = 20  # from one line of text to the next
FONT_PX = 16
IMAGES_PER_LINE = 8
LATENTS_PER_LINE = 6
TEXT_COLOUR = (32, 32, 32)
BACKGROUND = 255
GREYS = 16  # shades in an animation without colours: 10 latents stay under 100 KB


class TileRow(NamedTuple):
    """A line of tiles, with the text that stands to its left."""

    text: str
    tiles: Picture
    space_above_px: int = SEPARATOR_PX


class Origins(NamedTuple):
    """Images [n, C, H, W] that a latent is moved from, and a name for each."""

    names: Sequence[str]
    images: NDArray[np.floating]


class Traversal(NamedTuple):
    """One latent moved over a range: its values [S] and the images drawn [n, S, C, H, W]."""

    name: str
    values: NDArray[np.floating]
    frames: NDArray[np.floating]


def reconstruction_grid(
    inputs: NDArray[np.floating], reconstructions: NDArray[np.floating]
) -> Picture:
    """Inputs [n, C, H, W] above their reconstructions [n, C, H, W], eight to a line."""
    rows = []
    for start in range(0, len(inputs), IMAGES_PER_LINE):
        chunk = slice(start, start + IMAGES_PER_LINE)
        rows.append(TileRow("input", _side_by_side(_tiles(inputs[chunk])), MARGIN_PX))
        rows.append(TileRow("output", _side_by_side(_tiles(reconstructions[chunk]))))
    return _page(rows)


def traversal_grid(
    frames: NDArray[np.floating],
    *,
    kl_nats: NDArray[np.floating],
    labels: Sequence[str] | None = None,
) -> Picture:
    """One row for each latent, the most informative first: what the decoder draws as it moves.

    Args:
        frames: [M, S, C, H, W], the images of latent m at step s.
        kl_nats: [M], the mean KL of each latent, printed on its row.
        labels: one for each latent, such as the factor that it follows; printed above
            its name; may be empty.
    """
    texts = _texts(kl_nats, labels)
    return _page([TileRow(texts[m], _side_by_side(_tiles(frames[m]))) for m in _by_kl(kl_nats)])


def traversal_gif(
    frames: NDArray[np.floating],
    *,
    kl_nats: NDArray[np.floating],
    labels: Sequence[str] | None = None,
) -> list[Picture]:
    """The pictures of an animation in which all latents move at once, forth and back.

    Takes the arguments of `traversal_grid`; returns 2S - 2 pictures, which make a smooth loop.
    """
    order = _by_kl(kl_nats)
    texts = [_texts(kl_nats, labels)[m] for m in order]
    tiles = _tiles(frames[order])
    height, width = tiles.shape[2:4]
    head_px = max(_text_height(text) for text in texts)
    corners, blank = _animation_layout(len(order), tile_shape=(height, width), head_px=head_px)
    blank = _write(
        blank,
        [(text, x, y - _text_height(text)) for text, (y, x) in zip(texts, corners, strict=True)],
    )

    def picture(s: int) -> Picture:
        page = blank.copy()
        for tile, (y, x) in zip(tiles[:, s], corners, strict=True):
            page[y : y + height, x : x + width] = tile
        return page

    forth = [picture(s) for s in range(frames.shape[1])]
    return forth + forth[-2:0:-1]


def factor_map(
    shares: NDArray[np.floating], *, factors: Sequence[str], kl_nats: NDArray[np.floating]
) -> Picture:
    """Normalised mutual information of latents and factors [M, K], dark where high, with numbers.

    A row for each latent in order of KL, a column for each factor.
    """
    names = _texts(kl_nats, None)
    left = 2 * MARGIN_PX + max(_text_width(name) for name in names)
    cell_px = max(_text_width(name) for name in factors) + MARGIN_PX
    page = _blank(2 * MARGIN_PX + LINE_PX * (len(names) + 1), left + cell_px * len(factors))
    words = [(name, left + cell_px * k, MARGIN_PX) for k, name in enumerate(factors)]
    for row, m in enumerate(_by_kl(kl_nats), start=1):
        y = MARGIN_PX + LINE_PX * row
        words.append((names[m], MARGIN_PX, y))
        for k, share in enumerate(np.clip(shares[m], 0.0, 1.0)):
            x = left + cell_px * k
            # lightest 255, darkest 135: dark text stays readable
            page[y : y + LINE_PX, x : x + cell_px - SEPARATOR_PX] = round(255 - 120 * share)
            words.append((f"{share:.2f}", x, y))
    return _write(page, words)


def latent_grid(origins: Origins, traversals: Sequence[Traversal], *, title: str) -> Picture:
    """One latent over its ranges: a block for each range, in it a row for each image it starts at.

    The images themselves stand in the first column, the latent's values above the others.
    """
    inputs = _tiles(origins.images)
    n, height, width = inputs.shape[:3]
    x_input = MARGIN_PX + max(map(_text_width, origins.names)) + MARGIN_PX
    x_steps = x_input + width + 2 * MARGIN_PX
    y_rows = [
        MARGIN_PX + 4 * LINE_PX + i * (n * (height + SEPARATOR_PX) + 3 * LINE_PX)
        for i in range(len(traversals))
    ]
    n_steps = max(len(traversal.values) for traversal in traversals)
    page = _blank(
        y_rows[-1] + n * (height + SEPARATOR_PX) + MARGIN_PX,
        x_steps + n_steps * (width + SEPARATOR_PX) + MARGIN_PX,
    )
    words = [(title, MARGIN_PX, MARGIN_PX)]
    for y, traversal in zip(y_rows, traversals, strict=True):
        y_line = y - LINE_PX - SEPARATOR_PX
        words += [(traversal.name, x_steps, y_line - LINE_PX), ("input", x_input, y_line)]
        for s, number in enumerate(_numbers(traversal.values)):
            x = x_steps + s * (width + SEPARATOR_PX) + (width - _text_width(number)) // 2
            words.append((number, x, y_line))
        for i, frames in enumerate(_tiles(traversal.frames)):
            y_row = y + i * (height + SEPARATOR_PX)
            line = _side_by_side(frames)
            page[y_row : y_row + height, x_input : x_input + width] = inputs[i]
            page[y_row : y_row + height, x_steps : x_steps + line.shape[1]] = line
            words.append((origins.names[i], MARGIN_PX, y_row + (height - LINE_PX) // 2))
    return _write(page, words)


def latent_animation(
    origins: Origins, traversals: Sequence[Traversal], *, title: str
) -> list[Picture]:
    """An animation of what `latent_grid` shows: a column for each range, forth and back.

    Returns 2S - 2 pictures, which make a smooth loop.
    """
    inputs = _tiles(origins.images)
    n, height, width = inputs.shape[:3]
    heads = ["input", *(traversal.name for traversal in traversals)]
    columns = [max(width, _text_width(head)) + 2 * MARGIN_PX for head in heads]
    left = MARGIN_PX + max(map(_text_width, origins.names)) + MARGIN_PX
    x_columns = [left + sum(columns[:i]) for i in range(len(columns))]
    y_rows = [MARGIN_PX + 4 * LINE_PX + i * (height + SEPARATOR_PX) for i in range(n)]
    blank = _blank(y_rows[-1] + height + MARGIN_PX, left + sum(columns))
    words = [(title, MARGIN_PX, MARGIN_PX)]
    y_line = y_rows[0] - LINE_PX - SEPARATOR_PX
    words += [(head, x, y_line - LINE_PX) for head, x in zip(heads, x_columns, strict=True)]
    words += [
        (name, MARGIN_PX, y + (height - LINE_PX) // 2)
        for name, y in zip(origins.names, y_rows, strict=True)
    ]
    numbers = [_numbers(traversal.values) for traversal in traversals]
    tiles = [np.broadcast_to(inputs[:, None], (n, len(numbers[0]), *inputs.shape[1:]))]
    tiles += [_tiles(traversal.frames) for traversal in traversals]

    def picture(s: int) -> Picture:
        values = [
            (f"z = {column[s]}", x, y_line)
            for column, x in zip(numbers, x_columns[1:], strict=True)
        ]
        page = _write(blank, words + values)
        for column, x in zip(tiles, x_columns, strict=True):
            for tile, y in zip(column[:, s], y_rows, strict=True):
                page[y : y + height, x : x + width] = tile
        return page

    forth = [picture(s) for s in range(len(numbers[0]))]
    return forth + forth[-2:0:-1]


def save_png(path: Path, picture: Picture) -> None:
    """Write a picture as PNG; a reader sees the whole file or none."""
    image = Image.fromarray(picture)
    if _is_grey(picture):
        image = image.convert("L")
    replace_atomically(path, lambda temporary: image.save(temporary, format="PNG", optimize=True))


def save_gif(path: Path, frames: Sequence[Picture], *, fps: float) -> None:
    """Write pictures of one size as a GIF that loops for ever; a reader sees all of it or none."""
    animation = _with_palette(np.concatenate(frames))
    height, width = frames[0].shape[:2]
    images = [animation.crop((0, height * i, width, height * (i + 1))) for i in range(len(frames))]

    def save(temporary: Path) -> None:
        images[0].save(
            temporary,
            format="GIF",
            save_all=True,
            append_images=images[1:],
            duration=round(1000 / fps),
            loop=0,
        )

    replace_atomically(path, save)


def _by_kl(kl_nats: NDArray[np.floating]) -> list[int]:
    return [int(m) for m in np.argsort(-kl_nats, kind="stable")]


def _texts(kl_nats: NDArray[np.floating], labels: Sequence[str] | None) -> list[str]:
    names = [f"z{m}  KL {kl:.2f}" for m, kl in enumerate(kl_nats)]
    if labels is None:
        return names
    return [f"{label}\n{name}".strip() for name, label in zip(names, labels, strict=True)]


def _numbers(values: NDArray[np.floating]) -> list[str]:
    """Values in steps, with as many decimals as show that the steps are even."""
    step = max(float(np.ptp(values)) / (len(values) - 1), 1e-3)
    digits = max(1, int(np.ceil(0.3 - np.log10(step))))
    return [f"{round(float(value), digits) + 0.0:.{digits}f}" for value in values]  # no -0.0


def _tiles(images: NDArray[np.floating]) -> Picture:
    """Images [..., C, H, W] in 0..1 to enlarged pixels [..., height, width, 3] in 0..255."""
    pixels = np.rint(np.clip(images, 0.0, 1.0) * 255).astype(np.uint8)
    pixels = np.moveaxis(pixels, -3, -1)
    scale = -(-TILE_PX // pixels.shape[-2])
    pixels = pixels.repeat(scale, axis=-3).repeat(scale, axis=-2)
    return np.broadcast_to(pixels, (*pixels.shape[:-1], 3))


def _side_by_side(tiles: Picture) -> Picture:
    """Tiles [n, height, width, 3] in one line, parted by thin strips of the background."""
    strip = ((0, 0), (0, 0), (0, SEPARATOR_PX), (0, 0))
    line = np.concatenate(np.pad(tiles, strip, constant_values=BACKGROUND), axis=1)
    return line[:, :-SEPARATOR_PX]


def _animation_layout(
    n_tiles: int, *, tile_shape: tuple[int, int], head_px: int
) -> tuple[list[tuple[int, int]], Picture]:
    """The upper left corners (y, x) of tiles with room for text above them, and an empty page."""
    n_lines = -(-n_tiles // LATENTS_PER_LINE)
    per_line = -(-n_tiles // n_lines)
    step_y, step_x = head_px + tile_shape[0] + MARGIN_PX, tile_shape[1] + MARGIN_PX
    corners = [
        (MARGIN_PX + step_y * (i // per_line) + head_px, MARGIN_PX + step_x * (i % per_line))
        for i in range(n_tiles)
    ]
    return corners, _blank(MARGIN_PX + step_y * n_lines, MARGIN_PX + step_x * per_line)


def _page(rows: Sequence[TileRow]) -> Picture:
    """Rows below one another, each with its text to the left."""
    text_width = max(_text_width(row.text) for row in rows)
    left = MARGIN_PX + text_width + MARGIN_PX
    height = sum(row.space_above_px + len(row.tiles) for row in rows) - rows[0].space_above_px
    width = max(row.tiles.shape[1] for row in rows)
    page = _blank(MARGIN_PX + height + MARGIN_PX, left + width + MARGIN_PX)
    y = MARGIN_PX - rows[0].space_above_px
    words = []
    for row in rows:
        y += row.space_above_px
        row_height, row_width = row.tiles.shape[:2]
        page[y : y + row_height, left : left + row_width] = row.tiles
        words.append((row.text, MARGIN_PX, y + (row_height - _text_height(row.text)) // 2))
        y += row_height
    return _write(page, words)


def _blank(height: int, width: int) -> Picture:
    return np.full((height, width, 3), BACKGROUND, np.uint8)


def _font() -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size=FONT_PX)


def _text_width(text: str) -> int:
    return max(int(np.ceil(_font().getlength(line))) for line in text.splitlines())


def _text_height(text: str) -> int:
    return LINE_PX * len(text.splitlines())


def _write(page: Picture, words: Sequence[tuple[str, int, int]]) -> Picture:
    """A copy of the page with texts (text, x, y) on it; (x, y) is the upper left corner."""
    image = Image.fromarray(page)
    draw, font = ImageDraw.Draw(image), _font()
    for text, x, y in words:
        for i, line in enumerate(text.splitlines()):
            draw.text((x, y + i * LINE_PX), line, fill=TEXT_COLOUR, font=font)
    return np.array(image)


def _with_palette(animation: Picture) -> Image.Image:
    """All pictures in one palette: nothing flickers, and only what moves is stored."""
    if not _is_grey(animation):
        return Image.fromarray(animation).quantize(256, dither=Image.Dither.NONE)
    step = 255 // (GREYS - 1)
    nearest = np.rint(np.arange(256) / step).astype(np.uint8)
    image = Image.fromarray(nearest[animation[..., 0]])
    image.putpalette([grey for grey in range(0, 256, step) for _ in "RGB"])
    return image


def _is_grey(picture: Picture) -> bool:
    return bool((picture == picture[..., :1]).all())
