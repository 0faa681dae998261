import math
import os
from pathlib import Path

import pytest

from bvae import machine
from bvae.machine import Torch, cards, cpu_quota, memory_limit, this_machine

CUDA = Torch("2.13.0+cu130", cuda=True, hip=False)
HIP = Torch("2.13.0+rocm7", cuda=False, hip=True)
CPU = Torch("2.13.0+cpu", cuda=False, hip=False)

MOUNT = "32 31 0:29 {part} {where} rw,nosuid shared:9 - {kind} {kind} rw,{options}"
V2 = MOUNT.format(part="/", where="/sys/fs/cgroup", kind="cgroup2", options="nsdelegate")
V1_CPU = MOUNT.format(
    part="/", where="/sys/fs/cgroup/cpu,cpuacct", kind="cgroup", options="cpu,cpuacct"
)
V1_MEMORY = MOUNT.format(
    part="/docker/ab", where="/sys/fs/cgroup/memory", kind="cgroup", options="memory"
)


def tree(root: Path, files: dict[str, str]) -> Path:
    """Write these files below a folder, and return it."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text + "\n", encoding="utf-8")
    return root


@pytest.mark.parametrize(
    ("files", "cpus", "memory"),
    [
        pytest.param({}, math.inf, math.inf, id="no /proc, as on macOS"),
        pytest.param(
            {
                "proc/self/cgroup": "0::/",
                "proc/self/mountinfo": V2,
                "sys/fs/cgroup/cpu.max": "150000 100000",
                "sys/fs/cgroup/memory.max": "2000000000",
            },
            1.5,
            2e9,
            id="version 2 in a container",
        ),
        pytest.param(
            {
                "proc/self/cgroup": "0::/user.slice/job",
                "proc/self/mountinfo": V2,
                "sys/fs/cgroup/user.slice/cpu.max": "400000 100000",
                "sys/fs/cgroup/user.slice/job/cpu.max": "max 100000",
                "sys/fs/cgroup/user.slice/job/memory.max": "max",
            },
            4,
            math.inf,
            id="the group above has the limit",
        ),
        pytest.param(
            {
                "proc/self/cgroup": "5:cpu,cpuacct:/jobs/7\n4:memory:/docker/ab\n0::/",
                "proc/self/mountinfo": f"{V1_CPU}\n{V1_MEMORY}",
                "sys/fs/cgroup/cpu,cpuacct/jobs/7/cpu.cfs_quota_us": "50000",
                "sys/fs/cgroup/cpu,cpuacct/jobs/7/cpu.cfs_period_us": "100000",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "3000000000",
            },
            0.5,
            3e9,
            id="version 1",
        ),
        pytest.param(
            {
                "proc/self/cgroup": "4:memory:/elsewhere/cd\n0::/../../elsewhere",
                "proc/self/mountinfo": f"{V1_MEMORY}\n{V2}",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "3000000000",
                "sys/fs/cgroup/cpu.max": "200000 100000",
            },
            2,
            3e9,
            id="a group that cannot be seen from here",
        ),
        pytest.param(
            {
                "proc/self/cgroup": "0::/",
                "proc/self/mountinfo": V2,
                "sys/fs/cgroup/cpu.max": "nonsense",
                "sys/fs/cgroup/memory.max": "",
            },
            math.inf,
            math.inf,
            id="files that say nothing",
        ),
        pytest.param(
            {
                "proc/self/cgroup": "0::/",
                "proc/self/mountinfo": V2.replace("/cgroup", r"/control\040groups"),
                "sys/fs/control groups/cpu.max": "200000 100000",
            },
            2,
            math.inf,
            id="mounted at a path with a blank",
        ),
        pytest.param(
            {
                "proc/self/cgroup": "0::/",
                "proc/self/mountinfo": f"24 1 0:22 / /scratch rw - tmpfs  rw,size=1g\n{V2}",
                "sys/fs/cgroup/cpu.max": "200000 100000",
            },
            2,
            math.inf,
            id="beside what is mounted without a name",
        ),
    ],
)
def test_control_groups(tmp_path: Path, files: dict[str, str], cpus: float, memory: float) -> None:
    """The tightest limit of the process's own group and of those above it."""
    root = tree(tmp_path, files)

    assert (cpus, memory) == (cpu_quota(root), memory_limit(root))


def test_this_machine_is_not_larger_than_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A quota of eight processors, of the three this process may run on; memory with a limit."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5, 7}, raising=False)
    files = {
        "proc/self/cgroup": "0::/",
        "proc/self/mountinfo": V2,
        "sys/fs/cgroup/cpu.max": "800000 100000",
        "sys/fs/cgroup/memory.max": "1000000",
    }
    found = this_machine(tree(tmp_path, files))

    assert (3, 3, 1e6, True) == (
        found.processors,
        found.cpus,
        found.memory,
        found.is_memory_limited,
    )


def test_processors_where_they_are_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """One at least."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: None)

    assert 1 == this_machine().processors


@pytest.fixture
def _all_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in machine.VISIBLE:
        monkeypatch.delenv(variable, raising=False)


@pytest.mark.usefixtures("_all_visible")
class TestCards:
    @pytest.mark.parametrize(
        ("listed", "expected"),
        [
            ("0,2", ["0", "2"]),
            (" GPU-ab , 1", ["GPU-ab", "1"]),
            ("MIG-5f0e/1/0,MIG-GPU-ab/2/0", ["MIG-5f0e/1/0", "MIG-GPU-ab/2/0"]),
            ("", []),
            ("-1", []),
            ("0,-1,2", ["0"]),
            ("NoDevFiles", []),
        ],
    )
    @pytest.mark.parametrize("torch", [CUDA, HIP])
    def test_are_those_that_are_visible(
        self, monkeypatch: pytest.MonkeyPatch, torch: Torch, listed: str, expected: list[str]
    ) -> None:
        """CUDA_VISIBLE_DEVICES is read as CUDA reads it: up to a name of no device."""
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", listed)

        assert expected == cards(torch)

    def test_amd_has_a_variable_of_its_own(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Which hides none of NVIDIA's."""
        monkeypatch.setenv("HIP_VISIBLE_DEVICES", "1")

        assert ["1"] == cards(HIP)
        assert ["1"] != cards(CUDA)

    @pytest.mark.parametrize(
        ("files", "torch", "number"),
        [
            ([], CUDA, 0),
            (["dev/nvidia0", "dev/nvidia1", "dev/nvidiactl", "dev/nvidia-uvm"], CUDA, 2),
            (["dev/nvidia0"], CPU, 0),
            (["dev/nvidia0"], HIP, 0),
            (["dev/nvhost-gpu"], CUDA, 1),
            (["dev/dxg"], CUDA, 0),
            (["dev/dxg", "usr/lib/wsl/lib/libcuda.so.1"], CUDA, 1),
            (["dev/dxg", "usr/lib/wsl/lib/libcuda.so.1"], CPU, 0),
        ],
    )
    def test_are_found_by_their_files(
        self,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
        files: list[str],
        torch: Torch,
        number: int,
    ) -> None:
        """Of a Linux, a Jetson and WSL2, where this torch is built for them."""
        monkeypatch.setenv("PATH", "")  # no nvidia-smi
        tree(tmp_path, dict.fromkeys(files, ""))

        assert [str(k) for k in range(number)] == cards(torch, tmp_path)

    def test_of_wsl2_are_listed_by_the_driver(self, tmp_path: Path) -> None:
        """There is one device file for all of them."""
        tree(tmp_path, {"dev/dxg": "", "usr/lib/wsl/lib/libcuda.so.1": ""})
        program = tmp_path / "usr/lib/wsl/lib/nvidia-smi"
        program.write_text("#!/bin/sh\necho 'GPU 0: A (UUID: GPU-a)'\necho 'GPU 1: B'\n", "utf-8")
        program.chmod(0o755)

        assert ["0", "1"] == cards(CUDA, tmp_path)

    def test_of_amd_are_nodes_with_simd_units(self, tmp_path: Path) -> None:
        """Processors are nodes, too."""
        nodes = "sys/class/kfd/kfd/topology/nodes"
        tree(
            tmp_path,
            {
                f"{nodes}/0/properties": "cpu_cores_count 16\nsimd_count 0",
                f"{nodes}/1/properties": "cpu_cores_count 0\nsimd_count 320",
                f"{nodes}/2/properties": "cpu_cores_count 0\nsimd_count 320",
                f"{nodes}/3/properties": "",
            },
        )
        assert [] == cards(HIP, tmp_path)
        tree(tmp_path, {"dev/kfd": ""})

        assert ["0", "1"] == cards(HIP, tmp_path)
        assert [] == cards(CUDA, tmp_path)


def test_which_torch_is_installed_is_read_without_importing_it() -> None:
    """As torch itself says."""
    import torch

    found = machine.installed_torch()

    assert str(torch.__version__) == found.version
    assert (torch.version.cuda is not None, torch.version.hip is not None) == (
        found.cuda,
        found.hip,
    )
