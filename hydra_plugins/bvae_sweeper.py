"""The sweeper as Hydra finds it, for `hydra/sweeper=bvae`; the work is in `sweeps.commands.sweep`.

Hydra imports every plug-in at each start, in each worker too, and executes the module anew if it
is imported already: nothing heavy and no state has a place here. The folder has no `__init__.py`,
since the launchers' packages put theirs into the same namespace.
"""

from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class BvaeSweeper(Sweeper):
    """Makes of what Hydra hands over a `Sweep`, and hands that to the task function."""

    def __init__(self, **keys: object) -> None:
        del keys  # the keys below `hydra.sweeper`; `setup` gets them with all others

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Keep what Hydra hands over."""
        self._context, self._task, self._config = hydra_context, task_function, config

    def sweep(self, arguments: list[str]) -> None:
        """Have the study done that the arguments ask for."""
        from sweeps.commands.sweep import Sweep

        self._task(Sweep(self._context, self._config, arguments))
