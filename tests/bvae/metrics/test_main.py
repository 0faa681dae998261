import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bvae.data.sprites import FACTOR_NAMES
from bvae.metrics import score
from bvae.metrics.__main__ import main
from bvae.metrics.draws import FROM_TABLE

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@pytest.fixture
def arrays(factors: Ints, entangled: Floats) -> dict[str, Any]:
    """What a file of codes holds."""
    return {"codes": entangled, "factors": factors, "logvar": np.full_like(entangled, -3)}


def written(path: Path, arrays: dict[str, Any]) -> str:
    """The name of an .npz file of these arrays."""
    np.savez(path / "codes.npz", **arrays)
    return str(path / "codes.npz")


def test_prints_the_scores_as_json(
    tmp_path: Path, arrays: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """The numbers are those of `score`, with protocol, seed and circumstances."""
    code = main([written(tmp_path, arrays), "--protocol", "fast", "--seed", "3", "--json"])
    printed = json.loads(capsys.readouterr().out)

    expected = score(**arrays, protocol="fast", seed=3)
    assert code == 0
    assert expected == {name: found["value"] for name, found in printed["scores"].items()}
    assert ("fast", 3, "3x4x5x8") == tuple(printed[k] for k in ("protocol", "seed", "lattice"))


def test_prints_a_table_and_what_is_missing(
    tmp_path: Path, arrays: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """People get a row for each score and the reason for each that is missing."""
    factors = arrays["factors"][1:] * 1.0
    factors[:9, 2], factors[:, 3] = np.nan, 5
    names = np.array(["hue", "size", "angle", "light"])
    part = {"codes": arrays["codes"][1:], "factors": factors, "factor_names": names}
    code = main([written(tmp_path, part), "--protocol", "fast", "--drop", "0", "1"])
    lines = capsys.readouterr().out.splitlines()

    assert code == 0
    assert lines[:4] == [
        "479 rows, 6 latents, not a full lattice; factors asked for: angle; not asked for: hue, "
        "size",
        FROM_TABLE,
        "factor light: left out, it has a single class",
        "factor angle: known in 470 rows",
    ]
    assert any(line.startswith("mig  ") for line in lines)
    assert any("beta_vae " in line and "missing. Expected at least two" in line for line in lines)


@pytest.mark.parametrize(
    ("names", "asked"),
    [
        ({}, "asked for: 0, 1, 2, 3, 4"),
        ({"factor_names": np.array(["a", "b", "c", "d", "e"])}, "asked for: a, b, c, d, e"),
        (
            {"factor_names": np.array(FACTOR_NAMES)},
            "asked for: scale, orientation, x, y; not asked for: shape",
        ),
    ],
)
def test_a_factor_is_dropped_by_name_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], names: dict[str, Any], asked: str
) -> None:
    """The shape that higgins2017 does not ask for is that of dSprites, not any first of five."""
    factors = np.indices((3, 2, 2, 4, 5)).reshape(5, -1).T
    held = {"codes": factors * 1.0, "factors": factors, **names}

    assert main([written(tmp_path, held), "--protocol", "higgins2017"]) == 0
    heading = capsys.readouterr().out.splitlines()[0]
    assert heading == f"240 rows, 5 latents, a full lattice of 3x2x2x4x5; factors {asked}"


def test_reads_the_codes_of_a_trial(
    tmp_path: Path, arrays: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """`mu` stands for codes, and the sizes of a lattice for its factors."""
    stored = {"mu": arrays["codes"], "logvar": arrays["logvar"], "factor_sizes": [3, 4, 5, 8]}
    code = main([written(tmp_path, stored), "--protocol", "fast", "--json"])
    printed = json.loads(capsys.readouterr().out)

    assert code == 0
    assert score(**arrays, protocol="fast")["mig"] == printed["scores"]["mig"]["value"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"codes": None}, "Expected an array codes or mu, but the file holds factors, logvar"),
        ({"factors": None}, "Expected an array factors, but the file holds codes, logvar"),
        ({"codes": np.full((480, 2), np.nan)}, "finite `codes`, but 480 of 480 rows"),
        ({"factor_names": np.array(["a", "b"])}, "a name for each column of `factors`, but got"),
        ({"codes": np.array([{}])}, "is none: Object arrays cannot be loaded"),
    ],
)
def test_bad_files_exit_with_two(
    tmp_path: Path,
    arrays: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    change: dict[str, Any],
    message: str,
) -> None:
    """What is wrong with a file is said in one line, without a traceback."""
    held = {name: value for name, value in (arrays | change).items() if value is not None}

    assert main([written(tmp_path, held)]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("content", [None, b"", b"not a zip file"])
def test_other_files_exit_with_two(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None
) -> None:
    """A file that is missing, empty or of another kind is named."""
    path = tmp_path / "codes.npz"
    if content is not None:
        path.write_bytes(content)

    assert main([str(path)]) == 2
    assert f"Expected an .npz file of arrays, but {path} is none" in capsys.readouterr().err


def test_a_single_array_is_no_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An .npy file holds one array without a name."""
    np.save(tmp_path / "codes.npy", np.zeros((4, 2)))

    assert main([str(tmp_path / "codes.npy")]) == 2
    assert "Expected an .npz file of arrays" in capsys.readouterr().err


@pytest.mark.slow
def test_runs_as_a_module_without_torch(tmp_path: Path, arrays: dict[str, Any]) -> None:
    """`python -m bvae.metrics` scores a file, and never imports torch."""
    script = (
        "import runpy, sys; sys.argv[0] = 'metrics'\n"
        "try: runpy.run_module('bvae.metrics', run_name='__main__')\n"
        "except SystemExit as end: sys.exit(end.code or 'torch' in sys.modules)"
    )
    command = [sys.executable, "-c", script, written(tmp_path, arrays), "--protocol", "fast"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)

    assert done.returncode == 0, done.stderr
    assert "beta_vae_active" in done.stdout
