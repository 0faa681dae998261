"""What can go wrong, as a caller may want to catch it.

BvaeError
├── ConfigError          the command or the configuration is wrong (exit code 2)
├── DataError            a data file or an array is not what it should be (exit code 2)
└── NonFiniteLossError   training diverged; the trial ends as failed
"""


class BvaeError(Exception):
    """Root of every error this project raises on purpose."""


class ConfigError(BvaeError):
    """The command line or the configuration cannot be run as it stands."""


class DataError(BvaeError):
    """A data file or an array does not hold what it must hold."""


class NonFiniteLossError(BvaeError):
    """The training loss became NaN or infinite."""
