"""n images, R rows or columns, E corners."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import ArrayLike

from bvae.data.sprites import FACTOR_SIZES, render
from bvae.exceptions import ConfigError, DataError

REFERENCE = Path(__file__).parents[4] / "shared/data/dsprites_reference.npz"
needs_reference = pytest.mark.skipif(
    not REFERENCE.exists(),
    reason="official images: ../shared/data/dsprites_reference.npz is absent",
)
SQUARE, ELLIPSE, HEART = range(3)


def drawings() -> list[object]:
    """The drawings checked in as text: factors, then 32 rows of . and #."""
    lines = Path(__file__).with_name("drawings.txt").read_text().splitlines()
    return [
        pytest.param([int(c) for c in lines[i].split()], lines[i + 1 : i + 33], id=lines[i])
        for i in range(0, len(lines), 33)
    ]


def every(shape: int, *, x: Sequence[int], y: Sequence[int]) -> np.ndarray:
    """All scales and orientations of a shape at the given positions."""
    axes = np.meshgrid([shape], range(6), range(40), x, y, indexing="ij")
    return np.stack(axes, axis=-1).reshape(-1, 5)


def some(number: int, *, seed: int = 0) -> np.ndarray:
    """Random factors [number, 5]."""
    rng = np.random.default_rng(seed)
    return np.stack([rng.integers(0, size, number) for size in FACTOR_SIZES], axis=1)


def corners(factors: np.ndarray, resolution: int) -> np.ndarray:
    """Corners of one sprite as complex numbers x + iy, on the sub-pixel grid."""
    shape, scale, orientation, x, y = (int(c) for c in factors)
    if shape == SQUARE:
        outline = 9.6 * np.array([1 + 1j, 1 - 1j, -1 - 1j, -1 + 1j])
    elif shape == ELLIPSE:
        turn = np.exp(2j * np.pi * np.arange(100) / 100)
        outline = 9.6 * (1.33 * turn.real + 1j * turn.imag / 1.33)
    else:
        t = 2 * np.pi * np.arange(150) / 150
        up = sum(a * np.cos(k * t) for k, a in {1: 13, 2: -5, 3: -2, 4: -1}.items())
        outline = 9.6 * (np.sin(t) ** 3 - 1j * (up / 14.5 + 0.15))
    size = (5 + scale) / 10
    turned = outline * size * np.exp(-2j * np.pi * orientation / 39)
    moved = (turned + 16 * (1 + 1j) + 32 / 31 * (x + 1j * y)) * resolution / 64
    return (np.round(moved.real * 256) + 1j * np.round(moved.imag * 256)) / 256


def winding(points: np.ndarray, outline: np.ndarray) -> np.ndarray:
    """How often the outline [E] goes round the points [R, R]; NaN on the outline itself."""
    seen = outline - points[..., None]
    with np.errstate(divide="ignore", invalid="ignore"):
        angles = np.angle(np.roll(seen, -1, axis=-1) / seen)
    on_outline = np.any(np.isnan(angles) | (np.abs(np.abs(angles) - np.pi) < 1e-9), axis=-1)
    return np.where(on_outline, np.nan, np.abs(angles.sum(axis=-1)) / (2 * np.pi))


@pytest.mark.parametrize(("factors", "rows"), drawings())
def test_drawings_checked_in_as_text(factors: list[int], rows: list[str]) -> None:
    """Each drawing comes out as it was checked in."""
    image = render([factors], resolution=32)[0]
    assert ["".join(".#"[pixel] for pixel in row) for row in image] == rows


@pytest.mark.parametrize("resolution", [7, 32, 64])
def test_pixels_are_the_centres_inside_the_outline(resolution: int) -> None:
    """Winding numbers, computed slowly, give the same pixels but for centres on an outline."""
    factors = some(50, seed=resolution)
    middles = np.arange(resolution) + 0.5
    points = middles + 1j * middles[:, None]
    expected = np.stack([winding(points, corners(f, resolution)) for f in factors])
    images = render(factors, resolution)
    decided = ~np.isnan(expected)
    assert decided.mean() > 0.999
    np.testing.assert_array_equal(images[decided], np.round(expected[decided]))
    assert images.any()


@needs_reference
@pytest.mark.parametrize("kind", ["genuine_images", "animation_frames"])
def test_official_images(kind: str) -> None:
    """Every official image there is comes out bit for bit, and so does the official animation."""
    with np.load(REFERENCE) as reference:
        packed = reference[kind]
        factors = reference[f"{kind.split('_')[0]}_factors"]
    expected = np.unpackbits(packed, axis=1).reshape(-1, 64, 64)
    np.testing.assert_array_equal(render(factors), expected)


@pytest.mark.parametrize(
    ("position", "inside"),
    [
        pytest.param({"x": 8}, True, id="left"),
        pytest.param({"x": 23}, False, id="right"),
        pytest.param({"y": 8}, False, id="top"),
        pytest.param({"y": 23}, True, id="bottom"),
    ],
)
def test_a_centre_on_the_outline(position: dict[str, int], inside: bool) -> None:
    """A pixel whose centre is on an edge is on at the left and at the bottom only."""
    # at scale 1 these classes put an edge at 18.5 (class 8) or at 45.5 (class 23)
    image = render([[SQUARE, 1, 0, position.get("x", 15), position.get("y", 15)]])[0]
    profile = image.any(axis=0 if "x" in position else 1)
    assert profile[18 if 8 in position.values() else 45] == inside
    assert profile.sum() == 11 + inside


def test_square_turned_by_a_quarter() -> None:
    """The square is the same after a quarter turn about the middle of the canvas."""
    factors = every(SQUARE, x=[0, 5, 13, 31], y=[2, 9, 20])
    turned = factors.copy()
    turned[:, 3], turned[:, 4] = factors[:, 4], 31 - factors[:, 3]
    np.testing.assert_array_equal(render(turned), np.rot90(render(factors), axes=(1, 2)))


def test_ellipse_turned_by_a_half() -> None:
    """The ellipse is the same after a half turn, but for rare centres on its outline."""
    factors = every(ELLIPSE, x=[0, 5, 13, 31], y=[2, 9, 20])
    turned = factors.copy()
    turned[:, 3:] = 31 - factors[:, 3:]
    wrong = render(turned) != render(factors)[:, ::-1, ::-1]
    assert wrong.sum() < len(factors) / 100


def test_heart_in_the_mirror() -> None:
    """A heart in the mirror is a heart turned the other way, but for centres on its outline."""
    factors = every(HEART, x=[0, 5, 13, 31], y=[2, 9, 20])
    mirrored = factors.copy()
    mirrored[:, 2], mirrored[:, 3] = 39 - factors[:, 2], 31 - factors[:, 3]
    wrong = render(mirrored) != render(factors)[:, :, ::-1]
    assert wrong.sum() < len(factors) / 100


def test_first_and_last_orientation() -> None:
    """Orientations 0 and 39 are the same picture; 0 and 1 are not."""
    factors = some(300)
    first, second, last = (np.where(np.arange(5) == 2, o, factors) for o in (0, 1, 39))
    np.testing.assert_array_equal(render(first), render(last))
    assert (render(first) != render(second)).any(axis=(1, 2)).all()


def test_area_grows_with_scale() -> None:
    """Every shape at every orientation covers more pixels at each larger scale."""
    axes = np.meshgrid(range(3), range(6), range(40), [16], [16], indexing="ij")
    areas = render(np.stack(axes, axis=-1).reshape(-1, 5)).sum(axis=(1, 2)).reshape(3, 6, 40)
    assert (np.diff(areas, axis=1) > 0).all()


@pytest.mark.parametrize(("column", "axis"), [(3, 2), (4, 1)], ids=["x", "y"])
@pytest.mark.parametrize("resolution", [32, 64])
def test_positions_span_half_the_canvas(column: int, axis: int, resolution: int) -> None:
    """Position class 31 is class 0 moved by half the canvas: x to the right, y down."""
    factors = some(200)
    first, last = (np.where(np.arange(5) == column, c, factors) for c in (0, 31))
    moved = np.roll(render(first, resolution), resolution // 2, axis=axis)
    np.testing.assert_array_equal(render(last, resolution), moved)


def test_images_do_not_depend_on_their_neighbours() -> None:
    """An image is the same in whatever order and company it is drawn."""
    factors = some(2500)
    order = np.random.default_rng(1).permutation(len(factors))
    images = render(factors)
    np.testing.assert_array_equal(render(factors[order]), images[order])
    np.testing.assert_array_equal(render(factors[1200:1201]), images[1200:1201])


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.uint64])
def test_any_integers_are_accepted(dtype: type[np.integer]) -> None:
    """The type of the integers makes no difference, and the images are uint8."""
    images = render(some(10).astype(dtype))
    np.testing.assert_array_equal(images, render(some(10).tolist()))
    assert images.dtype == np.uint8


def test_no_images() -> None:
    """No factors give no images."""
    assert render(np.zeros((0, 5), int), 16).shape == (0, 16, 16)


@pytest.mark.parametrize(
    ("factors", "message"),
    [
        ([0, 0, 0, 0, 0], r"expected integer factors \[n, 5\].*but got int64 \[5\]"),
        ([[0, 0, 0, 0]], r"but got int64 \[1, 4\]"),
        ([[0.0, 0, 0, 0, 0]], r"but got float64 \[1, 5\]"),
        ([[False] * 5], r"but got bool \[1, 5\]"),
        ([[3, 0, 0, 0, 0]], r"^expected shape in 0\.\.2, but got 3\.\.3$"),
        ([[0, 6, 0, 0, 0]], r"expected scale in 0\.\.5, but got 6\.\.6"),
        (
            [[0, 0, 39, 0, 0], [0, 0, 40, 0, 0]],
            r"expected orientation in 0\.\.39, but got 39\.\.40",
        ),
        ([[0, 0, 0, -1, 32]], r"x in 0\.\.31, but got -1\.\.-1; y in 0\.\.31, but got 32\.\.32"),
    ],
)
def test_impossible_factors_are_refused(factors: ArrayLike, message: str) -> None:
    """Factors of another shape, type or range are refused, all of them in one message."""
    with pytest.raises(DataError, match=message):
        render(factors)


@pytest.mark.parametrize("resolution", [0, -64])
def test_impossible_resolutions_are_refused(resolution: int) -> None:
    """An image has at least one pixel."""
    with pytest.raises(ConfigError, match=f"at least 1 pixel, but got {resolution}"):
        render([[0, 0, 0, 0, 0]], resolution)
