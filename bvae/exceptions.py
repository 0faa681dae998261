"""What can go wrong, as a caller may want to catch it, and whether a trial is to blame.

BvaeError
├── ConfigError          the command or the configuration is wrong (exit code 2)
├── DataError            a data file or an array is not what it should be (exit code 2)
├── MachineFaultError    the machine has failed a trial, which is queued again
└── NonFiniteLossError   training diverged; the trial ends as failed
"""

import re


class BvaeError(Exception):
    """Root of every error this project raises on purpose."""


class ConfigError(BvaeError):
    """The command line or the configuration cannot be run as it stands."""


class DataError(BvaeError):
    """A data file or an array does not hold what it must hold."""


class MachineFaultError(BvaeError):
    """Disk, memory, device or data of this machine have failed; that says nothing of the trial."""


class NonFiniteLossError(BvaeError):
    """The training loss became NaN or infinite."""


_OF_MACHINE = (OSError, MemoryError, ImportError, Warning, MachineFaultError)
"""A warning is raised only where the environment makes errors of warnings."""

_SAID_BY_TORCH = re.compile(
    r"out of memory|allocate memory|not enough memory|(CUDA|HIP|cuDNN|CUBLAS|NCCL)\w* (error|driv)"
    r"|no NVIDIA driver|No CUDA GPUs|not compiled with CUDA|gpu backend|run on your system"
    r"|DataLoader worker .* (killed|exited)|start new thread|shared memory|StreamWriter failed"
    r"|iostream error|failed with strerror|cudaGetDeviceCount|cuDNN algorithm|find an engine",
    re.IGNORECASE,
)
"""What torch and Lightning say of a machine's faults, for which they have no class."""


def is_of_machine(error: BaseException) -> bool:
    """Whether an exception of a training is the machine's fault, and no failure of the trial.

    A full disk, a device or file that is not there or may not be used, too little memory, a
    warning that the environment turns into an error. Everything else is the trial's own.
    """
    if isinstance(error, _OF_MACHINE):
        return True
    is_theirs = isinstance(error, (RuntimeError, AssertionError)) or (
        type(error).__name__ == "MisconfigurationException"
    )
    if is_theirs and _SAID_BY_TORCH.search(str(error)) is not None:
        return True
    return error.__cause__ is not None and is_of_machine(error.__cause__)
