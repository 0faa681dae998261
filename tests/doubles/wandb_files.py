"""Runs on disk, read back by wandb's own inspector."""

import json
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

# What `wandb leet inspect` runs, without the second that the import of wandb takes.
WANDB_CORE = Path(find_spec("wandb").submodule_search_locations[0], "bin", "wandb-core")


def records(run_file: Path) -> list[dict[str, Any]]:
    """The records of a run's file."""
    command = [WANDB_CORE, "leet", "inspect", "--no-observability", "--json"]
    done = subprocess.run(
        [*command, "--run-file", run_file], capture_output=True, text=True, check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def of_type(records: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """The bodies of all records of one type."""
    return [record[name] for record in records if record["type"] == name]


def rows(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of a run, without wandb's own columns."""
    items = [body["item"] for body in of_type(records, "history")]
    return [{k: v for k, v in item.items() if not k.startswith("_")} for item in items]


def summary(records: list[dict[str, Any]]) -> dict[str, Any]:
    """The values that belong to the whole run, the last ones set."""
    merged: dict[str, Any] = {}
    for body in of_type(records, "summary"):
        merged |= body["update"]
    return merged


def exit_codes(records: list[dict[str, Any]]) -> list[int]:
    """The exit codes a run was finished with: one, or none if it was not."""
    return [body["exit_code"] for body in of_type(records, "exit")]
