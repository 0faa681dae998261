"""`make bench [ONLY=name]`: run every benchmark and print its figures beside the goals."""

import importlib
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table


def main() -> None:
    """Run the benchmarks whose name holds one of the arguments, or all."""
    names = sorted(path.stem for path in Path(__file__).parent.glob("bench_*.py"))
    chosen = [name for name in names if not sys.argv[1:] or any(a in name for a in sys.argv[1:])]
    table = Table("benchmark", "figure", "value", "goal", box=None, pad_edge=False)
    for name in chosen:
        print(f"{name} …", file=sys.stderr, flush=True)
        for figure, value, goal in importlib.import_module(f"benchmarks.{name}").rows():
            table.add_row(name.removeprefix("bench_"), figure, value, goal)
    Console().print(table)


if __name__ == "__main__":
    main()
