"""What is refused before anything expensive starts: of the configurations, and of this machine."""

import itertools
from collections.abc import Iterable, Sequence

from bvae import checks, config, needs
from bvae.config import Config
from bvae.exceptions import ConfigError
from bvae.machine import Machine
from bvae.metrics.scores import UDR_NAMES
from bvae.part_sources import has_parts, targets
from bvae.trial import COORDINATES
from sweeps.plan.settings import SweepSettings
from sweeps.search.search import Search
from sweeps.search.space import PLACES
from sweeps.study.manifest import Manifest
from sweeps.study.quoting import is_unresolved
from sweeps.study.trials import Trial


def refuse(
    configs: Sequence[Config], found: Sequence[str] = (), machine: Machine | None = None
) -> None:
    """Raise all that is wrong with these, once each, and with it what this machine cannot do."""
    mistakes = [*found, *(wrong for parsed in configs for wrong in checks.mistakes(parsed))]
    if mistakes and machine is not None:
        mistakes += [
            wrong for parsed in configs for wrong in needs.device_mistakes(parsed, machine)
        ]
    if mistakes:
        raise ConfigError("\n".join(dict.fromkeys(mistakes)))


def refuse_here(configs: Sequence[Config], machine: Machine, *, is_new: bool) -> None:
    """Raise what this machine cannot do; of a study that is there, only what it never could.

    Others may have begun it on more processors, or by an older version: those numbers go on.
    """
    mistakes = [
        mistake
        for parsed in configs
        for mistake in checks.machine_mistakes(parsed, machine)
        if is_new or not mistake.startswith(needs.KNOWN_TO_WORK)
    ]
    if mistakes:
        raise ConfigError("\n".join(dict.fromkeys(mistakes)))


def check_together(
    settings: SweepSettings, search: Search | None, facts: checks.DerivedSettings, parsed: Config
) -> None:
    """Check that what finds and prunes trials has a score to go by."""
    mistakes = []
    if settings.pruner and facts.lattice is None:
        mistakes.append(
            f"hydra.sweeper.pruner: judges by MIG, which needs factors, and {parsed.data.name} has "
            "none; leave it out"
        )
    if settings.pruner and search is not None:
        mistakes.append(
            "hydra.sweeper.pruner: holds the configurations of a grid against each other; "
            "leave it out of a search"
        )
    if settings.until and facts.objective in UDR_NAMES:
        mistakes.append(
            f"hydra.sweeper.until: objective={facts.objective} compares pairs of seeds, which "
            "depend on each other; choose the number of seeds, as in seed=range(6)"
        )
    if parsed.checkpoint.keep_trials and facts.objective in UDR_NAMES:
        mistakes.append(
            f"checkpoint.keep_trials: objective={facts.objective} is of pairs of seeds, so no "
            "trial is better than another; leave it out, and use `sweeps clean`"
        )
    if search is not None and facts.objective in UDR_NAMES:
        mistakes.append(
            f"objective={facts.objective}: compares seeds, so a search cannot go by it; "
            "sweep a grid, as in beta=1,4,16 latent_dim=5,10 seed=0,1,2"
        )
    if mistakes:
        raise ConfigError("\n".join(mistakes))


def checked_configurations(
    manifest: Manifest, trials: Sequence[Trial], search: Search | None
) -> tuple[Config, ...]:
    """Check what further swept values amount to together; one by one they were checked as typed.

    So are β, latent sizes and seeds that other keys depend on, and latent sizes of own parts. Of a
    search these are the values it may choose, of intervals some from end to end.
    """
    texts = str(list(_dependent(manifest).values()))
    has_own = any(targets([*manifest.compositions.values()]))
    wanted = {key for key in COORDINATES if key in texts} | ({"latent_dim"} if has_own else set())
    keys = [*(key for key in COORDINATES if key in wanted), *manifest.axes]
    configurations = {tuple(trial.values[key] for key in keys): trial for trial in trials}
    if search is not None:
        chosen = [
            search.seeds if key == "seed" else search.space[key].spread(PLACES) for key in keys
        ]
        configurations = {
            configuration: Trial.of(
                {**trials[0].values, **dict(zip(keys, configuration, strict=True))}
            )
            for configuration in itertools.product(*chosen)
        }
    parsed = tuple(config.parse(manifest.config_of(trial)) for trial in configurations.values())
    refuse(parsed)
    _try_parts(parsed)
    return parsed


def _try_parts(configs: Iterable[Config]) -> None:
    """Take one batch through the parts of those configurations that are not the default ones.

    Raises:
        ConfigError: naming what is wrong with them.
    """
    with_parts = [parsed for parsed in configs if has_parts(parsed)]
    if not with_parts:
        return
    from bvae import first_pass  # torch, which plain configurations are planned without

    mistakes = [mistake for parsed in with_parts for mistake in first_pass.mistakes(parsed)]
    if mistakes:
        raise ConfigError("\n".join(dict.fromkeys(mistakes)))


def _dependent(manifest: Manifest) -> dict[str, object]:
    """Return the keys that depend on swept ones, and how, in any of the compositions."""
    return {
        key: text
        for composed in manifest.compositions.values()
        for key, text in config.flatten(composed).items()
        if is_unresolved(text)
    }
