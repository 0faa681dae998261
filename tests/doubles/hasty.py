"""The command as it is typed, but for its end: it draws no report, and waits for no launcher.

Both take longer than all the rest of a command whose trials are stand-ins.
"""

from unittest import mock

from bvae.__main__ import main
from sweeps.commands import conclude
from sweeps.workers import orchestrator

if __name__ == "__main__":
    with mock.patch.object(conclude, "conclude"), mock.patch.object(orchestrator, "LINGER_S", 1.0):
        main()
