"""What this machine has, or the share of it that a container is given; found without torch.

Control groups limit processors and memory without hiding them: a process in a container with one
CPU still counts all of the machine's. Both versions are read, of the process's own group and of
all above it that can be seen.
"""

import functools
import importlib.util
import itertools
import math
import os
import platform
import re
import runpy
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

ROOT = Path("/")

DEVICE = re.compile(r"\d+|(GPU|MIG)-.+")
"""How CUDA_VISIBLE_DEVICES names a device: by number, or by (the beginning of) its UUID."""

VISIBLE = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES")
"""Variables that hide cards; the last two are AMD's, which obeys the first as well."""

WSL = "usr/lib/wsl/lib"
"""Where Windows puts NVIDIA's libraries into a Linux of WSL2."""

GB = 1e9

_OCTAL = re.compile(r"\\(\d{3})")
"""How the kernel writes a blank in the path of a mount."""


@dataclass(frozen=True)
class Machine:
    """What trials may use here.

    Attributes:
        processors: how many this process may run on.
        cpus: how much of them, by the quota of its control group.
        memory: bytes, of the control group or, where it has no limit, of the machine.
        is_memory_limited: whether it is a control group's.
        cards: graphics cards that torch can use, as CUDA_VISIBLE_DEVICES names them.
        torch: its version.
        has_mps: whether there is one of Apple's.
    """

    processors: int
    cpus: float
    memory: float
    is_memory_limited: bool = False
    cards: tuple[str, ...] = ()
    torch: str = ""
    has_mps: bool = False


@dataclass(frozen=True)
class Torch:
    """The installed torch: its version, and whose cards it is built for."""

    version: str
    cuda: bool
    hip: bool


def this_machine(root: Path = ROOT) -> Machine:
    """Return what this process may use; `root` is the file system's."""
    torch = installed_torch()
    limit = memory_limit(root)
    physical = _physical_memory()
    return Machine(
        processors=_processors(),
        cpus=cpus(root),
        memory=min(limit, physical),
        is_memory_limited=limit < physical,
        cards=tuple(cards(torch, root)),
        torch=torch.version,
        has_mps=platform.system() == "Darwin" and platform.machine() == "arm64",
    )


def cpus(root: Path = ROOT) -> float:
    """Return how much of its processors this process may use."""
    return min(_processors(), cpu_quota(root))


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):  # which a cpuset limits, too
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _physical_memory() -> float:
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (ValueError, OSError):
        return math.inf


def cpu_quota(root: Path = ROOT) -> float:
    """Return how many processors' time the control groups leave to this process.

    Infinite where there is no limit.
    """
    quotas = [math.inf]
    for folder in _groups("cpu", root):
        quota, _, period = _text(folder / "cpu.max").partition(" ")  # version 2
        if not period:
            quota = _text(folder / "cpu.cfs_quota_us")
            period = _text(folder / "cpu.cfs_period_us")
        if quota.isdigit() and period.isdigit() and int(period):  # `max` or -1: no limit
            quotas.append(int(quota) / int(period))
    return min(quotas)


def memory_limit(root: Path = ROOT) -> float:
    """Return the bytes that the control groups leave to this process; infinite without a limit."""
    limits = [math.inf]
    for folder in _groups("memory", root):
        limit = _text(folder / "memory.max") or _text(folder / "memory.limit_in_bytes")
        if limit.isdigit():  # `max`: no limit
            limits.append(float(limit))
    return min(limits)


def _groups(controller: str, root: Path) -> Iterator[Path]:
    """Yield the folders of this process's control group and of those above, of both versions."""
    own: dict[str, str] = {}
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, names, path = line.split(":", 2)
        own |= dict.fromkeys(names.split(","), path)  # version 2 has no names
    for line in _text(root / "proc/self/mountinfo").splitlines():
        mounted, _, kind = line.partition(" - ")
        part, where = (_OCTAL.sub(_character, path) for path in mounted.split()[3:5])
        kind, _, options = kind.split(" ")[:3]  # what is mounted may have no name
        name = {"cgroup": controller, "cgroup2": ""}.get(kind)
        if name not in own or (name and name not in options.split(",")):
            continue
        below = PurePosixPath(own[name])
        if below.is_relative_to(part):
            below = below.relative_to(part)
        if below.is_absolute() or ".." in below.parts:  # a container's own group is its top
            below = PurePosixPath()
        yield from (root / where.lstrip("/") / group for group in (below, *below.parents))


def _character(found: re.Match[str]) -> str:
    return chr(int(found[1], 8))


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except (OSError, ValueError):
        return ""


@functools.cache
def installed_torch() -> Torch:
    """Return which torch is installed, from the file that says so: importing it takes seconds."""
    found = importlib.util.find_spec("torch")
    if found is None or found.origin is None:
        return Torch("", cuda=False, hip=False)
    said = runpy.run_path(str(Path(found.origin).with_name("version.py")))
    return Torch(
        said["__version__"], cuda=said.get("cuda") is not None, hip=said.get("hip") is not None
    )


def cards(torch: Torch, root: Path = ROOT) -> list[str]:
    """Return the cards that this torch can use, as CUDA_VISIBLE_DEVICES names them.

    Like CUDA, it takes the devices before the first name that is invalid, as in `-1` or SLURM's
    `NoDevFiles`.
    """
    if not (torch.cuda or torch.hip):
        return []
    for variable in VISIBLE if torch.hip else VISIBLE[:1]:
        listed = os.environ.get(variable)
        if listed is not None:
            return list(itertools.takewhile(DEVICE.fullmatch, map(str.strip, listed.split(","))))
    count = _amd(root) if torch.hip else _nvidia(root)
    return [str(number) for number in range(count)]


def _nvidia(root: Path) -> int:
    """Return how many cards have a device file, or are Windows' own, seen through WSL2."""
    if files := [*(root / "dev").glob("nvidia[0-9]*")]:
        return len(files)
    if (root / "dev/nvhost-gpu").exists():  # a Jetson's
        return 1
    # every Windows has dxg; libcuda comes with NVIDIA's driver
    if (root / "dev/dxg").exists() and (root / WSL / "libcuda.so.1").exists():
        return max(1, _listed_by_driver(root / WSL / "nvidia-smi"))
    return 0


def _listed_by_driver(program: Path) -> int:
    """Return how many cards NVIDIA's own program lists, 0 if it cannot be asked."""
    command = str(program) if program.exists() else shutil.which("nvidia-smi")
    if command is None:
        return 0
    try:
        done = subprocess.run(
            [command, "-L"], capture_output=True, text=True, check=False, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return 0
    return sum(line.startswith("GPU ") for line in done.stdout.splitlines())


def _amd(root: Path) -> int:
    """Return how many of the nodes of AMD's driver are cards: processors have no SIMD units."""
    if not (root / "dev/kfd").exists():
        return 0
    nodes = (root / "sys/class/kfd/kfd/topology/nodes").glob("*/properties")
    found = [re.search(r"^simd_count (\d+)$", _text(node), re.MULTILINE) for node in nodes]
    return sum(units is not None and int(units[1]) > 0 for units in found)
