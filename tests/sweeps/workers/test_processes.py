import os
import signal
import subprocess
import sys
from multiprocessing import resource_tracker

from sweeps.workers.processes import descendants, is_resource_tracker, kill
from tests.doubles.processes import wait_for

PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
child.wait()
"""


def test_a_family_is_found_and_ended() -> None:
    """Children and their children, whatever their name; none is left."""
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        grandchild = int(parent.stdout.readline())
        found = descendants(os.getpid())

        assert {parent.pid, grandchild} <= set(found)
        assert [grandchild] == descendants(parent.pid)
        kill([grandchild, parent.pid])

    assert -signal.SIGKILL == parent.returncode


def test_one_that_is_gone_is_no_trouble() -> None:
    """It may end between being found and being killed."""
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()

    kill([ended.pid])
    assert [] == descendants(ended.pid)


def test_the_resource_tracker_is_told_from_others() -> None:
    """Python starts it, and loky one of its own."""
    resource_tracker.ensure_running()

    # forked first, then what it is
    wait_for(lambda: any(is_resource_tracker(pid) for pid in descendants(os.getpid())))
    assert not is_resource_tracker(os.getpid())
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    assert not is_resource_tracker(ended.pid)
