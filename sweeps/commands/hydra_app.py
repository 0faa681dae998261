"""What `bvae` does with a command line: Hydra is started, and composes what a sweep or trial is."""

import os
import re
import sys
from collections.abc import Sequence

import hydra
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from bvae import config
from bvae.exceptions import ConfigError
from sweeps.commands.run_study import Ended
from sweeps.commands.sweep import Sweep, as_sweep, run_one
from sweeps.plan import overrides, words
from sweeps.plan.plan import Plan
from sweeps.plan.settings import register
from sweeps.plan.typed import read
from sweeps.workers.exit_codes import Exit


def hide_password() -> None:
    """Start again without the password of a database that was typed: `ps` shows it to everyone."""
    clean = words.without_password(sys.orig_argv[1:])
    if clean != sys.orig_argv[1:]:
        os.execv(sys.executable, [sys.executable, *clean])


def run(arguments: Sequence[str], resumed: Plan | None = None) -> Ended:
    """Do what `bvae` does with these command-line arguments; return how it ended, and which study.

    A study that is resumed is finished as it is on disk: the arguments say with which launcher,
    how many workers, and the like.

    Raises:
        BvaeError: it cannot be done.
    """
    # Hydra would print what went wrong in its own words and exit with 1; here it is caught below.
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    register()
    typed = read(arguments)
    groups = typed.groups
    if not typed.flags["shell_completion"]:
        overrides.check(typed.overrides, groups=groups)
    outcome: Ended | Exception = Ended(Exit.COMPLETE)  # of --help and the like

    def run_task(asked: Sweep | DictConfig) -> None:
        """Run a sweep, or a study of one trial; Hydra drops what a task returns."""
        nonlocal outcome
        try:
            outcome = (
                asked.run(groups, resumed)
                if isinstance(asked, Sweep)
                else run_one(asked, groups, resumed)
            )
        except Exception as error:  # here, since Hydra would first print words of its own
            outcome = error

    entry = hydra.main(
        config_path=str(config.directory()), config_name="config", version_base="1.3"
    )(run_task)
    before = sys.argv
    try:
        sys.argv = ["bvae", *typed.arguments]  # which Hydra parses
        entry()
        if isinstance(outcome, Exception):
            raise outcome
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(_with_cause(error)) from error
    except (ValueError, KeyError) as error:
        if typed.flags["shell_completion"]:
            said = (
                "query is for the shell; type install=bash" if "COMP_LINE" in str(error) else error
            )
            raise ConfigError(f"--shell-completion: {said}") from error
        raise
    except SystemExit as ended:  # Hydra has shown what it was to show, or said why it could not
        return Ended(Exit.USAGE if ended.code else Exit.COMPLETE)
    finally:
        sys.argv = before
    return outcome


def _with_cause(error: Exception) -> str:
    """Return what Hydra says, and what it was caused by if that says more."""
    absent = re.match(r"Could not override '((\w+)[^']*)'", str(error))
    if absent:
        return (
            f"{absent[1]}: what is chosen for {absent[2]} has no such key; "
            f"leave it out, or choose another {absent[2]}=…"
        )
    several = re.match(r"(?:Ambiguous value for argument|Sweep parameters) '(.*)'", str(error))
    if several:
        return f"{several[1]}: several values are for a sweep; type: {as_sweep()}"
    cause = "" if error.__cause__ is None else str(error.__cause__)
    return str(error) + (f"\n{cause}" if cause not in str(error) else "")
