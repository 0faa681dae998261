"""A real SLURM of one node, on the loopback: munged, slurmctld and slurmd of the distribution.

It has more processors than the machine, so that some workers run at once. What it lacks is
accounting, which takes a database of its own: `sacct` is a script that asks slurmctld instead.

A requeued job may not start before the credential of its last run has expired, since slurmd would
take it for that one ("Job credential revoked") and fail it: SLURM waits `cred_expire` and a second,
which is two minutes by default and six seconds here. As at many sites, jobs have to ask for it.
"""

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.doubles.processes import free_port, wait_for

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")
PARTITION = "long"
URGENT = "urgent"
"""Jobs of this partition preempt those of the other, which are requeued."""

CONFIG = """\
ClusterName=tested
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PreemptExemptTime=0
ReturnToService=2
MailProg=/bin/true
SchedulerParameters=sched_min_interval=100000,sched_interval=1,batch_sched_delay=0
JobRequeue=0
KillWait=5
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory=1000
PartitionName={partition} Nodes=ALL Default=YES PriorityTier=1 GraceTime=8
PartitionName={urgent} Nodes=ALL PriorityTier=2
"""

# What submitit reads of sacct's table, for jobs that slurmctld remembers (five minutes and more).
SACCT = r"""#!/bin/sh
echo "JobID|State|NodeList"
scontrol --oneliner show job | sed -nE \
 -e 's/.* ArrayJobId=([0-9]+) ArrayTaskId=([0-9]+).* JobState=([A-Z_]+) .*/\1_\2|\3|/p' \
 -e 's/^JobId=([0-9]+) JobName=.* JobState=([A-Z_]+) .*/\1|\2|/p'
"""


def missing() -> str | None:
    """Say what keeps SLURM from being started here, if anything does."""
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    if absent:
        return f"no {', '.join(absent)}; `make services` installs SLURM"
    return None if os.geteuid() == 0 else "slurmd has to be started by root"


@contextlib.contextmanager
def running(folder: Path) -> Iterator[dict[str, str]]:
    """Start SLURM, yield the environment its clients need, and stop it with all its jobs.

    Args:
        folder: for its files; its path must be short enough for a socket's name.
    """
    environment = _configure(folder)
    with contextlib.ExitStack() as stack:
        for command in _commands(folder):
            stack.enter_context(_daemon(command, environment, folder))
        wait_for(lambda: "idle" in _said(environment, "sinfo", "--noheader", "--format=%T"))
        try:
            yield environment
        finally:
            _end_jobs(environment)


def _configure(folder: Path) -> dict[str, str]:
    for name in ("state", "spool", "bin"):
        (folder / name).mkdir(parents=True)
    folder.chmod(0o755)
    config = CONFIG.format(
        folder=folder,
        host=socket.gethostname().partition(".")[0],
        controller_port=free_port(),
        node_port=free_port(),
        partition=PARTITION,
        urgent=URGENT,
    )
    (folder / "slurm.conf").write_text(config)
    key = folder / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    sacct = folder / "bin" / "sacct"
    sacct.write_text(SACCT)
    sacct.chmod(0o755)
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    return {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": path}


def _commands(folder: Path) -> list[list[str]]:
    """Return how the daemons are started, in the foreground."""
    files = {"key-file": "munge.key", "socket": "munge.socket", "pid-file": "munge.pid"}
    files |= {"log-file": "munge.log", "seed-file": "munge.seed"}
    munged = [f"--{option}={folder / name}" for option, name in files.items()]
    return [
        ["munged", "--foreground", "--force", *munged],
        ["slurmctld", "-D", "-c"],
        ["slurmd", "-D", "-c"],
    ]


@contextlib.contextmanager
def _daemon(command: list[str], environment: dict[str, str], folder: Path) -> Iterator[None]:
    with (folder / f"{command[0]}.out").open("wb") as out:
        process = subprocess.Popen(
            command, env=os.environ | environment, stdout=out, stderr=out, start_new_session=True
        )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _end_jobs(environment: dict[str, str]) -> None:
    """Kill all jobs: slurmd leaves those it has started behind when it ends."""
    _said(environment, "scancel", "--full", "--signal=KILL", "--user=root")
    _said(environment, "scancel", "--user=root")
    with contextlib.suppress(TimeoutError):
        wait_for(lambda: not _said(environment, "squeue", "--noheader"))


def _said(environment: dict[str, str], *command: str) -> str:
    """Return what a client of SLURM prints; nothing while the controller is not there yet."""
    done = subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, check=False
    )
    return done.stdout.strip()
