"""The command as it is typed, but for its end: it draws no report, and waits for no launcher.

Both take longer than all the rest of a command whose trials are stand-ins.
"""

from unittest import mock

from bvae.__main__ import main
from sweeps.commands import conclude
from sweeps.study.timeouts import Timeouts
from sweeps.workers.orchestrator import Orchestrator

if __name__ == "__main__":
    hasty = mock.patch.dict(Orchestrator.__init__.__kwdefaults__, timeouts=Timeouts(linger=1.0))
    with mock.patch.object(conclude, "conclude"), hasty:
        main()
