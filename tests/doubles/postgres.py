"""A real PostgreSQL on the loopback, in a folder of its own."""

import contextlib
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.doubles.processes import free_port

USER = "postgres"
"""PostgreSQL does not run as root: where the tests do, it runs as the user that came with it."""


def missing() -> str | None:
    """Say what keeps PostgreSQL from being started here, if anything does."""
    if _programs() is None:
        return "no PostgreSQL; `make services` installs it"
    return None


def _programs() -> Path | None:
    """Return the folder of the newest version's programs, which Debian keeps off the PATH."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*"), key=lambda path: float(path.name))
    if versions:
        return versions[-1] / "bin"
    path = shutil.which("initdb")
    return Path(path).parent if path else None


@contextlib.contextmanager
def running(folder: Path, *, password: str | None = None) -> Iterator[str]:
    """Start a server, yield the URL of its database without the password, and stop it.

    Args:
        folder: for its files, new; it and those above must let other users through.
        password: asked of whoever connects, if given.
    """
    port = free_port()
    folder.mkdir()
    (folder / "password").write_text(password or "unused")
    if os.geteuid() == 0:
        for path in (folder, folder / "password"):
            shutil.chown(path, USER)
    how = "scram-sha-256" if password else "trust"
    _run("initdb", "--pgdata=data", f"--auth={how}", "--pwfile=password", f"--username={USER}",
         "--no-sync", folder=folder)  # fmt: skip
    options = f"-h 127.0.0.1 -p {port} -k {folder} -c max_connections=60"
    _run("pg_ctl", "start", "--pgdata=data", "--wait", "--log=log", f"--options={options}",
         folder=folder)  # fmt: skip
    try:
        yield f"postgresql://{USER}@127.0.0.1:{port}/postgres"
    finally:
        _run("pg_ctl", "stop", "--pgdata=data", "--mode=immediate", folder=folder)


def _run(program: str, *arguments: str, folder: Path) -> None:
    programs = _programs()
    assert programs is not None
    options = {"user": USER, "group": pwd.getpwnam(USER).pw_gid} if os.geteuid() == 0 else {}
    with (folder / "out").open("ab") as out:
        subprocess.run(
            [programs / program, *arguments],
            cwd=folder,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
            stdout=out,
            stderr=out,
            check=True,
            **options,  # type: ignore[call-overload]
        )
