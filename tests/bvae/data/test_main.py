import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bvae.data.__main__ import main
from bvae.data.dsprites_npz import md5_of


def test_verify_identical_images(npz: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Identical images give exit code 0; a warning says that the file is not the official one."""
    assert main(["verify", str(npz)]) == 0
    out, err = capsys.readouterr()
    assert out == "24 images compared: 0 differ, in 0 pixels\n"
    assert err == f"warning: not the official file: its MD5 is {md5_of(npz)}\n"


def test_verify_different_images(
    npz: Path, npz_arrays: dict[str, np.ndarray], capsys: pytest.CaptureFixture[str]
) -> None:
    """Different images are counted and give exit code 1."""
    npz_arrays["imgs"][4, :2, 0] ^= 1
    np.savez_compressed(npz, **npz_arrays)
    assert main(["verify", str(npz)]) == 1
    assert capsys.readouterr().out == "24 images compared: 1 differ, in 2 pixels\n"


def test_build_and_checksum(
    filled_cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`build` says what the cache holds, and `sha256` the checksum of the packed images."""
    monkeypatch.setenv("BVAE_CACHE", str(filled_cache))
    assert main(["build", "dsprites32"]) == 0
    assert capsys.readouterr().out == "dsprites32: 184,320 images, 23,592,960 bytes\n"
    assert main(["sha256", "dsprites32"]) == 0
    packed = np.load(filled_cache / "dsprites32-v1.npy")
    assert capsys.readouterr().out == f"{hashlib.sha256(packed.tobytes()).hexdigest()}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["verify", "absent.npz"], "error: cannot read absent.npz: No such file or directory"),
        (["build", "dsprite"], "error: no such data set: 'dsprite'; did you mean dsprites?"),
        (["build", "dsprites_npz"], "error: dsprites_npz needs the path of"),
        (["sha256", "dsprites_npz", "--path", "absent.npz"], "error: cannot read absent.npz"),
    ],
)
def test_mistakes_give_exit_code_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mistake is one line on stderr and exit code 2."""
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(message)
    assert err.count("\n") == 1


def test_a_file_that_is_no_npz_gives_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`verify` of something else says what was expected, after the warning."""
    (tmp_path / "text.npz").write_text("no archive")
    assert main(["verify", str(tmp_path / "text.npz")]) == 2
    assert "\nerror: expected " in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["verify"], ["paint"]])
def test_a_command_that_does_not_exist(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong command line gives its usage and exit code 2."""
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert "error: " in capsys.readouterr().err


def test_the_module_is_a_command() -> None:
    """`python -m bvae.data` passes the exit code on, without a traceback."""
    command = [sys.executable, "-m", "bvae.data", "build", "no such data"]
    finished = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert finished.returncode == 2
    assert finished.stderr.startswith("error: no such data set")
    assert "Traceback" not in finished.stderr
