"""A real Ray of one node on the loopback, as a cluster that is there already."""

import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.doubles.processes import free_port, wait_for

ENVIRONMENT = {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
"""Else Ray would write a token into the home, and send statistics."""


def missing() -> str | None:
    """Say what keeps Ray from being started here, if anything does."""
    if importlib.util.find_spec("ray") is None:
        return "no Ray; pip install 'bvae-sweeps[ray]'"
    return None


@contextlib.contextmanager
def running(folder: Path) -> Iterator[str]:
    """Start a head node with two processors, yield its address, and stop it.

    Its workers have its environment, not the command's: they find the stand-ins by it.

    Args:
        folder: for its files; its path must be short enough for a socket's name.
    """
    port = free_port()
    options = [f"--port={port}", "--node-ip-address=127.0.0.1", "--num-cpus=2"]
    options += ["--include-dashboard=false", f"--temp-dir={folder}", "--disable-usage-stats"]
    options += ["--object-store-memory=100000000"]
    with (folder / "out").open("wb") as out:
        process = subprocess.Popen(
            [str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", *options],
            env=os.environ | ENVIRONMENT | {"PYTHONPATH": str(Path(__file__).parents[2])},
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        wait_for(lambda: b"Ray runtime started" in (folder / "out").read_bytes(), seconds=60)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
