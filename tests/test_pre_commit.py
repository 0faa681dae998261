"""What runs before a commit is what CI runs."""

import re
from pathlib import Path
from typing import Any

import yaml


def rule(makefile: str, target: str) -> tuple[list[str], list[str]]:
    """Return what a target needs, and its commands."""
    found = re.search(rf"^{target}:(.*)\n((?:\t.*\n)*)", makefile, re.MULTILINE)
    assert found
    return found[1].split(), [line.strip() for line in found[2].splitlines()]


def test_the_hook_is_what_ci_runs(repository: Path) -> None:
    """One hook, of a target that `make test` runs; it names the tools that this runs."""
    config: dict[str, Any] = yaml.safe_load((repository / ".pre-commit-config.yaml").read_text())
    makefile = (repository / "Makefile").read_text()
    (hook,) = (hook for repo in config["repos"] for hook in repo["hooks"])
    _, commands = rule(makefile, "lint")

    assert ("make lint", "system", False) == (
        hook["entry"],
        hook["language"],
        hook["pass_filenames"],
    )
    assert "$(MAKE) --jobs=2 lint suite" in rule(makefile, "test")[1]
    assert "make test" in (repository / ".ci" / "run").read_text().splitlines()
    assert [command.removeprefix("$(BIN)/").removesuffix(" .") for command in commands] == hook[
        "name"
    ].split(", ")
