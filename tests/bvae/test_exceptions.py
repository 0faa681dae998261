import errno

import pytest

from bvae.exceptions import DataError, MachineFaultError, NonFiniteLossError, is_of_machine


class OutOfMemoryError(RuntimeError):
    """As torch's, without loading torch."""


class MisconfigurationException(Exception):  # noqa: N818
    """As Lightning's."""


def caused(error: Exception, cause: Exception) -> Exception:
    """Return an error with a cause."""
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        OSError(errno.EROFS, "Read-only file system"),
        OSError(errno.EIO, "Input/output error"),
        OSError(errno.ESTALE, "Stale file handle"),
        OSError(errno.EMFILE, "Too many open files"),
        PermissionError(errno.EACCES, "Permission denied"),
        FileNotFoundError(errno.ENOENT, "No such file or directory"),
        TimeoutError(),
        MemoryError(),
        ModuleNotFoundError("No module named 'PIL'"),
        DeprecationWarning("an old way"),
        OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
        RuntimeError("MPS backend out of memory"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory"
        ),
        RuntimeError("CUDA error: device-side assert triggered"),
        RuntimeError("No CUDA GPUs are available"),
        RuntimeError("Found no NVIDIA driver on your system"),
        AssertionError("Torch not compiled with CUDA enabled"),
        MisconfigurationException("No supported gpu backend found!"),
        MisconfigurationException("`CUDAAccelerator` can not run on your system"),
        RuntimeError("DataLoader worker (pid 7) is killed by signal: Bus error"),
        RuntimeError("PytorchStreamWriter failed writing file data/3: file write failed"),
        RuntimeError("open file failed with strerror: No space left on device"),
        RuntimeError("Unexpected error from cudaGetDeviceCount(). Error 804"),
        RuntimeError("Unable to find a valid cuDNN algorithm to run convolution"),
        RuntimeError("GET was unable to find an engine to execute this computation"),
        RuntimeError("can't start new thread"),
        MachineFaultError("the images have changed"),
        caused(DataError("cannot keep images"), OSError(errno.ENOSPC, "No space left on device")),
    ],
    ids=str,
)
def test_faults_of_the_machine(error: Exception) -> None:
    """They say nothing about the trial."""
    assert is_of_machine(error)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("out of memory"),
        RuntimeError("mat1 and mat2 shapes cannot be multiplied (64x10 and 5x64)"),
        AssertionError("expected two latents"),
        MisconfigurationException("`max_epochs` must be a non-negative integer"),
        DataError("codes: expected finite values"),
        NonFiniteLossError("the loss is nan at step 3"),
        ZeroDivisionError("division by zero"),
        SystemExit(1),
        KeyError("beta"),
    ],
    ids=str,
)
def test_faults_of_a_trial(error: BaseException) -> None:
    """They are what the training has raised by itself."""
    assert not is_of_machine(error)
