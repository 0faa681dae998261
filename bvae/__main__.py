"""The application: `bvae [overrides]` trains and scores one model, `bvae -m [overrides]` sweeps.

The only module of `bvae` that knows `sweeps`.
"""

import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import hydra
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from bvae import config
from bvae.exceptions import BvaeError

if not (Path(importlib.import_module("sweeps").__path__[0]) / "commands" / "sweep.py").exists():
    sys.exit(
        "error: another package named 'sweeps' is found before this project's "
        "(wandb[sweeps] installs one); remove it with: pip uninstall sweeps"
    )

from sweeps.commands import sweep
from sweeps.plan import overrides
from sweeps.workers.exit_codes import Exit


def application(composed: DictConfig) -> None:
    """Train and score one model: a study of one trial."""
    try:
        sweep.BvaeSweeper.exit_code = sweep.run_one(composed)
    except BvaeError as error:  # here, since Hydra would first print words of its own
        sweep.BvaeSweeper.exit_code = _refuse(error)


def main() -> None:
    """Run the application and exit with its code; mistakes end in one message and code 2."""
    # Hydra would print what went wrong in its own words and exit with 1; here it is caught below.
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    sys.argv[1:] = overrides.without_password(overrides.written_out(sys.argv[1:]))
    sweep.register()
    entry = hydra.main(
        config_path=str(config.directory()), config_name="config", version_base="1.3"
    )(application)
    try:
        overrides.check(_typed(sys.argv[1:]))
        entry()
    except (BvaeError, HydraException, OmegaConfBaseException) as error:
        sys.exit(_refuse(error))
    except KeyboardInterrupt:  # while the study was being prepared: nothing has started
        sys.exit(Exit.INTERRUPTED)
    sys.exit(sweep.BvaeSweeper.exit_code)


def _typed(arguments: Sequence[str]) -> list[str]:
    """Return the overrides among command-line arguments."""
    return [
        text for text in arguments if not text.startswith("-") and ("=" in text or text[:1] in "~+")
    ]


def _refuse(error: Exception) -> Exit:
    message = str(error) or str(error.__cause__)
    if error.__cause__ is not None and str(error.__cause__) not in message:
        message += f"\n{error.__cause__}"
    print("\n".join(f"error: {line}" for line in message.splitlines() if line), file=sys.stderr)
    return Exit.USAGE


if __name__ == "__main__":
    main()
