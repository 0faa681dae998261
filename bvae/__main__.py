"""The application: `bvae [overrides]` trains and scores one model, `bvae -m [overrides]` sweeps.

The only module of `bvae` that knows `sweeps`.
"""

if __name__ == "__main__":  # before anything is imported
    from bvae.import_path import search_here_last

    search_here_last()

import importlib
import sys
from pathlib import Path

if not (Path(importlib.import_module("sweeps").__path__[0]) / "commands" / "sweep.py").exists():
    sys.exit(
        "error: another package named 'sweeps' is found before this project's "
        "(wandb[sweeps] installs one); remove it with: pip uninstall sweeps"
    )

from sweeps.commands.entry import enter


def main() -> None:
    """Run the application and exit with its code; mistakes end in one message and code 2."""
    sys.exit(enter(_run))


def _run() -> int:
    from sweeps.commands.hydra_app import hide_password, run  # Hydra and Optuna take a second

    hide_password()
    return run(sys.argv[1:]).code


if __name__ == "__main__":
    main()
