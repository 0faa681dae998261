from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from bvae.pictures.drawing import (
    Origins,
    Picture,
    Traversal,
    factor_map,
    latent_animation,
    latent_grid,
    reconstruction_grid,
    save_gif,
    save_png,
    traversal_gif,
    traversal_grid,
)

Images = NDArray[np.float64]
BACKGROUND, BLACK, WHITE = 255, 0, 255


def blank_tiles(*shape: int, value: float, channels: int = 1, resolution: int = 32) -> Images:
    """Images [*shape, C, R, R] of one grey."""
    return np.full((*shape, channels, resolution, resolution), value)


def boxes(picture: Picture, colour: int | tuple[int, int, int]) -> list[tuple[int, int, int, int]]:
    """The rectangles (y, x, height, width) of one colour; the soft edges of text are none."""
    left = (picture == np.asarray(colour, np.uint8)).all(axis=2)
    found = []
    while left.any():
        y, x = (int(v) for v in np.argwhere(left)[0])
        width = int(np.argmin(np.append(left[y, x:], False)))
        height = int(np.argmin(np.append(left[y:, x], False)))
        if left[y : y + height, x : x + width].all() and min(height, width) >= 3:
            found.append((y, x, height, width))
        left[y : y + height, x : x + width] = False
    return found


def crop(picture: Picture, text_rows: slice) -> Picture:
    """What is written to the left of some rows of pixels of a page of black tiles."""
    return picture[text_rows, :90]


def moving_blob(M: int, S: int, *, resolution: int = 32) -> Images:
    """Traversals [M, S, 1, R, R] of a blob that moves along y in half of the latents, else x."""
    grid = np.linspace(-1, 1, resolution)
    frames = np.empty((M, S, 1, resolution, resolution))
    for m in range(M):
        for s, place in enumerate(np.linspace(-0.6, 0.6, S)):
            y, x = (place, 0.1 * m) if m % 2 else (0.1 * m, place)
            distance = (grid[:, None] - y) ** 2 + (grid[None, :] - x) ** 2
            frames[m, s, 0] = 1 / (1 + np.exp(80 * (distance - 0.06)))
    return frames


class TestReconstructionGrid:
    def test_input_above_its_reconstruction(self) -> None:
        """Ten pairs take two lines of eight and two, each input right above its output."""
        inputs = blank_tiles(10, value=100 / 255)
        outputs = blank_tiles(10, value=50 / 255)
        picture = reconstruction_grid(inputs, outputs)
        tops, bottoms = boxes(picture, 100), boxes(picture, 50)

        assert [box[2:] for box in tops + bottoms] == [(96, 96)] * 20
        assert [(y + 96 + 2, x) for y, x, _, _ in tops] == [(y, x) for y, x, _, _ in bottoms]
        assert len({y for y, *_ in tops}) == 2
        assert sum(y == tops[0][0] for y, *_ in tops) == 8

    def test_order(self) -> None:
        """Images go from left to right, then down."""
        greys = np.arange(11, 21)
        picture = reconstruction_grid(
            greys[:, None, None, None] / 255 * np.ones((1, 1, 32, 32)), blank_tiles(10, value=1.0)
        )
        corners = [boxes(picture, int(grey))[0][:2] for grey in greys]

        assert corners == sorted(corners)

    def test_text(self) -> None:
        """Dark words stand left of both rows, and nothing but paper around them."""
        picture = reconstruction_grid(blank_tiles(1, value=1.0), blank_tiles(1, value=1.0))
        dark = np.argwhere(picture.max(axis=2) < 80)

        assert (dark[:, 0] < 12 + 96).any()
        assert (dark[:, 0] > 12 + 96).any()
        assert (picture[:12] == BACKGROUND).all()
        assert (picture[:, :12] == BACKGROUND).all()

    def test_pixels(self) -> None:
        """A pixel becomes a square of pixels of its own grey, at its own place."""
        image = np.zeros((1, 1, 32, 32))
        image[0, 0, 3, 5] = 0.4
        picture = reconstruction_grid(image, np.zeros((1, 1, 32, 32)))
        left = picture.shape[1] - 12 - 96

        # The words contain greys of this kind; the tile does not.
        assert boxes(picture[:, left:], 102) == [(12 + 3 * 3, 5 * 3, 3, 3)]

    @pytest.mark.parametrize(("resolution", "side"), [(32, 96), (64, 128), (128, 128)])
    def test_whole_factors(self, resolution: int, side: int) -> None:
        """Images are enlarged by a whole factor to 96 pixels or more."""
        image = blank_tiles(1, value=100 / 255, resolution=resolution)
        assert boxes(reconstruction_grid(image, 0 * image), 100)[0][2:] == (side, side)

    def test_colours(self) -> None:
        """Three channels are red, green and blue."""
        image = np.zeros((1, 3, 32, 32))
        image[0, 0], image[0, 1], image[0, 2] = 1.0, 0.2, 0.4
        picture = reconstruction_grid(image, 0 * image)

        assert len(boxes(picture, (255, 51, 102))) == 1

    def test_values_out_of_range_are_cut(self) -> None:
        """A value above 1 is white and one below 0 black; neither wraps around."""
        picture = reconstruction_grid(
            blank_tiles(1, value=-0.5), blank_tiles(1, value=1.02, channels=1)
        )
        assert (picture[12:108, -13] == BLACK).all()
        assert (picture[110:206, -13] == WHITE).all()


class TestTraversalGrid:
    def test_rows_by_kl(self) -> None:
        """The latent of the highest KL is on top, equal ones in their own order."""
        greys = np.array([10, 60, 110, 160])
        frames = greys[:, None, None, None, None] / 255 * np.ones((1, 3, 1, 32, 32))
        picture = traversal_grid(frames, kl_nats=np.array([0.5, 2.0, 0.5, 3.0]))
        tops = {int(grey): boxes(picture, int(grey))[0][0] for grey in greys}

        assert sorted(tops, key=tops.__getitem__) == [160, 60, 10, 110]
        assert [len(boxes(picture, int(grey))) for grey in greys] == [3] * 4

    def test_steps_go_right(self) -> None:
        """The steps of a latent stand from left to right."""
        frames = (
            np.array([10, 60, 110])[None, :, None, None, None] / 255 * np.ones((1, 1, 1, 32, 32))
        )
        picture = traversal_grid(frames, kl_nats=np.array([1.0]))
        corners = [boxes(picture, grey)[0][:2] for grey in (10, 60, 110)]

        assert [y for y, _ in corners] == [12] * 3
        assert np.diff([x for _, x in corners]).tolist() == [98, 98]

    def test_names_follow_their_rows(self) -> None:
        """The text of a row is that of its latent, wherever the KL puts the row."""
        frames = blank_tiles(2, 2, value=0.0)
        here = traversal_grid(frames, kl_nats=np.array([2.5, 1.5]))
        there = traversal_grid(frames, kl_nats=np.array([1.5, 2.5]))
        first, second = slice(12, 108), slice(110, 206)

        # z0 KL 2.50 and z1 KL 2.50 differ in a digit, and so do they from the second rows.
        assert not np.array_equal(crop(here, first), crop(there, first))
        assert not np.array_equal(crop(here, first), crop(here, second))
        # Every text of two is the one drawn for a page of its own.
        alone = traversal_grid(frames[:1], kl_nats=np.array([2.5]))
        assert np.array_equal(crop(here, first), crop(alone, first))

    def test_labels(self) -> None:
        """A label adds a line of text to its row; an empty one leaves the row as it is without."""
        frames, kl_nats = blank_tiles(2, 2, value=0.0), np.array([2.0, 1.0])
        plain = traversal_grid(frames, kl_nats=kl_nats)
        labelled = traversal_grid(frames, kl_nats=kl_nats, labels=["size", ""])
        first, second = slice(12, 108), slice(110, 206)

        def inked_lines(picture: Picture) -> int:
            return int((crop(picture, first).min(axis=(1, 2)) < 100).sum())

        assert inked_lines(labelled) > 1.5 * inked_lines(plain)
        assert np.array_equal(crop(labelled, second), crop(plain, second))

    def test_long_labels_widen_the_margin(self) -> None:
        """Text never runs into the tiles."""
        frames = blank_tiles(1, 2, value=100 / 255)
        picture = traversal_grid(frames, kl_nats=np.ones(1), labels=["orientation of the object"])
        _, x, _, _ = boxes(picture, 100)[0]

        assert (picture[:, x - 12 : x] == BACKGROUND).all()
        assert (picture[:, : x - 12].min() < 80).all()

    @pytest.mark.parametrize("n_labels", [1, 3])
    def test_wrong_number_of_labels(self, n_labels: int) -> None:
        """A label too few or too many is an error, not a shifted name."""
        with pytest.raises(ValueError, match="zip"):
            traversal_grid(
                blank_tiles(2, 2, value=0.0), kl_nats=np.ones(2), labels=["x"] * n_labels
            )


class TestTraversalGif:
    def test_forth_and_back(self) -> None:
        """Four steps make six pictures, which come back without showing an end twice."""
        greys = np.array([10, 60, 110, 160])
        frames = greys[None, :, None, None, None] / 255 * np.ones((3, 1, 1, 32, 32))
        animation = traversal_gif(frames, kl_nats=np.array([1.0, 2.0, 3.0]))

        shown = [next(int(g) for g in greys if len(boxes(page, int(g))) == 3) for page in animation]
        assert shown == [10, 60, 110, 160, 110, 60]

    def test_tiles_by_kl(self) -> None:
        """Tiles go by falling KL, left to right, and the words do not move."""
        frames = (
            np.array([10, 60, 110])[:, None, None, None, None] / 255 * np.ones((1, 4, 1, 32, 32))
        )
        animation = traversal_gif(frames, kl_nats=np.array([1.0, 3.0, 2.0]))
        corners = {grey: boxes(animation[0], grey)[0][1] for grey in (10, 60, 110)}

        assert sorted(corners, key=corners.__getitem__) == [60, 110, 10]
        assert all(np.array_equal(page, animation[0]) for page in animation)

    @pytest.mark.parametrize(("M", "lines"), [(1, [1]), (6, [6]), (10, [5, 5]), (13, [5, 5, 3])])
    def test_lines_are_balanced(self, M: int, lines: list[int]) -> None:
        """Up to six tiles to a line, as even as can be."""
        animation = traversal_gif(blank_tiles(M, 2, value=100 / 255), kl_nats=np.ones(M))
        tops = [y for y, *_ in boxes(animation[0], 100)]

        assert [tops.count(y) for y in sorted(set(tops))] == lines

    def test_text_above_each_tile(self) -> None:
        """The name and KL of a latent stand in the free lines right above its tile."""
        animation = traversal_gif(
            blank_tiles(2, 2, value=100 / 255), kl_nats=np.ones(2), labels=["size", ""]
        )
        for y, x, _, width in boxes(animation[0], 100):
            assert animation[0][y - 20 : y, x : x + width].min() < 80
        upper_lines = [
            animation[0][y - 40 : y - 20, x : x + w] for y, x, _, w in boxes(animation[0], 100)
        ]
        assert [bool(line.min() < 80) for line in upper_lines] == [True, False]


class TestSavePng:
    def test_grey(self, tmp_path: Path) -> None:
        """A grey picture is stored in one channel and comes back as it was."""
        picture = traversal_grid(moving_blob(3, 5), kl_nats=np.array([1.0, 2.0, 3.0]))
        save_png(tmp_path / "picture.png", picture)
        with Image.open(tmp_path / "picture.png") as image:
            assert (image.format, image.mode) == ("PNG", "L")
            assert np.array_equal(np.asarray(image.convert("RGB")), picture)

    def test_colour(self, tmp_path: Path) -> None:
        """A picture with any colour in it keeps its colours."""
        picture = np.full((20, 30, 3), 7, np.uint8)
        picture[4, 5] = (200, 100, 50)
        save_png(tmp_path / "picture.png", picture)
        with Image.open(tmp_path / "picture.png") as image:
            assert np.array_equal(np.asarray(image), picture)

    def test_size(self, tmp_path: Path) -> None:
        """A grid of ten latents and eleven steps at 64 pixels takes less than 70 KB."""
        picture = traversal_grid(moving_blob(10, 11, resolution=64), kl_nats=np.ones(10))
        save_png(tmp_path / "picture.png", picture)
        assert 1_000 < (tmp_path / "picture.png").stat().st_size < 70_000


class TestSaveGif:
    def test_reads_back(self, tmp_path: Path) -> None:
        """The animation has all its pictures, loops for ever at its frame rate, and shows them."""
        animation = traversal_gif(moving_blob(4, 5), kl_nats=np.arange(4.0))
        save_gif(tmp_path / "animation.gif", animation, fps=8)
        with Image.open(tmp_path / "animation.gif") as image:
            assert (image.format, image.n_frames, image.info["loop"]) == ("GIF", 8, 0)
            for i, expected in enumerate(animation):
                image.seek(i)
                assert image.info["duration"] == 120  # 125 ms, in the hundredths of a GIF
                actual = np.asarray(image.convert("RGB")).astype(int)
                assert np.abs(actual - expected).max() <= 9  # half a step of sixteen greys
                assert actual.min() == BLACK
                assert actual.max() == WHITE

    def test_colours(self, tmp_path: Path) -> None:
        """An animation in colour keeps its colours."""
        frames = np.zeros((1, 2, 3, 32, 32))
        frames[0, 0, 0] = frames[0, 1, 2] = 1.0
        save_gif(tmp_path / "animation.gif", traversal_gif(frames, kl_nats=np.ones(1)), fps=5)
        with Image.open(tmp_path / "animation.gif") as image:
            for i, expected in enumerate([(255, 0, 0), (0, 0, 255)]):
                image.seek(i)
                middle = np.asarray(image.convert("RGB"))[80, 60]
                assert np.abs(middle.astype(int) - expected).max() <= 4

    def test_size(self, tmp_path: Path) -> None:
        """Ten latents that all move, over eleven steps at 64 pixels, take less than 112 KB."""
        animation = traversal_gif(moving_blob(10, 11, resolution=64), kl_nats=np.ones(10))
        save_gif(tmp_path / "animation.gif", animation, fps=8)
        assert 10_000 < (tmp_path / "animation.gif").stat().st_size < 112_000


def broken_save(self: Image.Image, path: Path, **options: object) -> None:
    """Write half a file, then fail."""
    Path(path).write_bytes(b"half")
    raise OSError("disk full")


@pytest.mark.parametrize(
    "save",
    [
        lambda path: save_png(path, np.zeros((4, 4, 3), np.uint8)),
        lambda path: save_gif(path, [np.zeros((4, 4, 3), np.uint8)] * 2, fps=5),
    ],
    ids=["png", "gif"],
)
class TestAtomicity:
    def test_failure_leaves_the_old_file(
        self, save: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """When writing fails half-way, the file before stays whole, and no scrap is left."""
        path = tmp_path / "picture"
        path.write_bytes(b"old")
        monkeypatch.setattr(Image.Image, "save", broken_save)
        with pytest.raises(OSError, match="disk full"):
            save(path)

        assert [p.name for p in tmp_path.iterdir()] == ["picture"]
        assert path.read_bytes() == b"old"

    def test_replaces_the_old_file(self, save: Callable[[Path], None], tmp_path: Path) -> None:
        """A second picture takes the place of the first, and leaves nothing beside it."""
        path = tmp_path / "picture"
        path.write_bytes(b"old")
        save(path)

        assert [p.name for p in tmp_path.iterdir()] == ["picture"]
        with Image.open(path) as image:
            assert image.size == (4, 4)


RED, BLUE = (255, 0, 0), (0, 0, 255)


def coloured(*shape: int, colour: tuple[int, int, int]) -> Images:
    """Images [*shape, 3, 32, 32] of one colour."""
    return np.broadcast_to(np.array(colour)[:, None, None] / 255, (*shape, 3, 32, 32))


class TestOneLatent:
    ORIGINS = Origins(["square", "heart"], coloured(2, colour=RED))
    TRAVERSALS = (
        Traversal("-3 to 3", np.linspace(-3, 3, 5), coloured(2, 5, colour=BLUE)),
        Traversal("its own", np.linspace(0, 0.1, 5), coloured(2, 5, colour=BLUE)),
    )

    def test_grid(self) -> None:
        """A block for each range: in each row an image, then its steps in one line."""
        picture = latent_grid(self.ORIGINS, self.TRAVERSALS, title="z3")
        images, steps = boxes(picture, RED), boxes(picture, BLUE)

        assert 4 == len(images)
        assert 20 == len(steps)
        assert {(96, 96)} == {box[2:] for box in images + steps}
        assert sorted({box[0] for box in images}) == sorted({box[0] for box in steps})
        assert 1 == len({box[1] for box in images})
        assert max(box[1] for box in images) + 96 < min(box[1] for box in steps)

    def test_grid_shows_steps_in_order(self) -> None:
        """Step s of image i stands in row i, at place s."""
        frames = coloured(2, 5, colour=BLUE).copy()
        frames[1, 3] = np.array(RED)[:, None, None] / 255
        origins = Origins(["a", "b"], coloured(2, colour=BLUE))
        traversal = Traversal("own", np.linspace(0, 1, 5), frames)
        picture = latent_grid(origins, [traversal], title="z3")
        ((y, x, _, _),) = boxes(picture, RED)
        corners = boxes(picture, BLUE)

        assert max(box[0] for box in corners) == y
        assert 3 == len({box[1] for box in corners if box[1] < x}) - 1  # one is the image itself

    def test_animation(self) -> None:
        """A column for the images and one for each range; forth and back without a repeat."""
        animation = latent_animation(self.ORIGINS, self.TRAVERSALS, title="z3")

        assert 2 * 5 - 2 == len(animation)
        assert 2 == len(boxes(animation[0], RED))
        assert 4 == len(boxes(animation[0], BLUE))
        assert (animation[1] == animation[7]).all()
        assert not (animation[0] == animation[1]).all()  # the values above the columns change

    def test_animation_shows_the_step(self) -> None:
        """In picture s every column shows step s, the images stay."""
        frames = coloured(2, 3, colour=BLUE).copy()
        frames[:, 2] = 0
        animation = latent_animation(
            self.ORIGINS, [Traversal("own", np.linspace(0, 1, 3), frames)], title="z3"
        )
        assert [2, 2, 0, 2] == [len(boxes(picture, BLUE)) for picture in animation]
        assert [2, 2, 2, 2] == [len(boxes(picture, RED)) for picture in animation]


class TestFactorMap:
    def test_dark_where_a_latent_knows_much(self) -> None:
        """A cell for each latent and factor, rows in order of KL, grey by the share."""
        shares = np.array([[0.0, 0.5], [1.0, 0.25]])
        picture = factor_map(shares, factors=["shape", "x"], kl_nats=np.array([0.1, 3.0]))
        greys = [(135, 1.0), (225, 0.25), (195, 0.5)]
        corners = {share: boxes_of(picture, grey) for grey, share in greys}

        # latent 1, of the higher KL, is the upper row; the second factor is to the right
        assert corners[1.0][0] == corners[0.25][0] < corners[0.5][0]
        assert corners[1.0][1] < corners[0.25][1] == corners[0.5][1]

    def test_a_share_beyond_one_stays_readable(self) -> None:
        """An estimate may pass 1 by a little."""
        picture = factor_map(np.array([[1.02]]), factors=["x"], kl_nats=np.array([1.0]))

        assert boxes_of(picture, 135)


def boxes_of(picture: Picture, grey: int) -> tuple[int, int]:
    """The upper left corner (y, x) of what has this grey."""
    found = (picture == grey).all(axis=2)
    wide, high = found.sum(axis=1) > 10, found.sum(axis=0) > 10  # the edges of letters are neither
    assert wide.any()
    assert high.any()
    return int(np.argmax(wide)), int(np.argmax(high))
