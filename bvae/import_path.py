"""Where modules are looked for: in the folder that one types in last of all."""

import os
import sys


def search_here_last() -> None:
    """Undo what `python -m` has done: it looks first where one types, be there a `random.py`.

    Where our own code is found there alone, in a clone that is not installed, processes that are
    started from this one are told.
    """
    try:
        is_first = os.path.samefile(sys.path[0], os.curdir)  # noqa: PTH121 - pathlib comes later
    except OSError:  # the folder is gone
        return
    if sys.flags.safe_path or not is_first:
        return
    here = sys.path.pop(0)
    if here not in sys.path and __file__.startswith(here + os.sep):
        paths = (os.environ.get("PYTHONPATH"), here)
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    sys.path.append(here)
