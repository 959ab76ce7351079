"""Is there memory for a model, before any of it is loaded? Two are there at once while one takes the place of the other."""

from __future__ import annotations

import ctypes
import gc
import math
from contextlib import suppress
from pathlib import Path

from core.errors import ModelError
from core.serving import tensors

# What a model needs besides its weights: caches of sixteen conversations and the work of a prompt (SmolLM2-135M took 0.4 GB of both).
SPARE_BYTES = 512 << 20
_CGROUP = Path("/sys/fs/cgroup")
_M_ARENA_MAX = -8  # malloc.h
_ARENAS = 2


def require(folder: Path, device: str, bytes_each: int, free: int | None = None) -> None:
    """Raise `ModelError` unless the weights in `folder`, at `bytes_each` a number, and room to work fit into what is free on `device`."""
    needed = weights_bytes(folder, bytes_each) + SPARE_BYTES
    there = free_bytes(device) if free is None else free
    if needed > there:
        raise ModelError(
            f"The model in {folder} needs {needed / 2**30:.1f} GiB on {device}, {there / 2**30:.1f} GiB are free now. Free some, or serve "
            "it from another machine (remote:NAME); where another one serves, a restart with the new one needs no room for both."
        )


def weights_bytes(folder: Path, bytes_each: int) -> int:
    """Return how many bytes the numbers of all weights take; only the headers of the files are read."""
    numbers = 0
    for path in sorted(folder.glob("*.safetensors")):
        with suppress(ModelError):  # damaged: whoever opens it says so, with the name of the model
            numbers += sum(math.prod(one.shape) for one in tensors.read_header(path, path.name).tensors.values())
    return numbers * bytes_each


def free_bytes(device: str) -> int:
    """Return how many bytes can be taken on `cuda` or, for any other device, in this machine or container."""
    if device == "cuda":
        import torch

        return int(torch.cuda.mem_get_info()[0])
    import psutil

    return min(int(psutil.virtual_memory().available), _left_of_container())


def _left_of_container() -> int:
    """What a container may still take (cgroup 2); its page cache counts as taken, so what is inactive is given back."""
    try:
        limit = (_CGROUP / "memory.max").read_text().strip()
        taken = int((_CGROUP / "memory.current").read_text())
        statistics = dict(line.split() for line in (_CGROUP / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        return 1 << 62
    return 1 << 62 if limit == "max" else int(limit) - taken + int(statistics.get("inactive_file", 0))


def give_back() -> None:
    """Give memory that nothing uses back to the system.

    glibc keeps what lies below a living allocation: after 100 reloads of SmolLM2-135M a process had 2.3 GB instead of 1.7.
    """
    gc.collect()
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def share_arenas() -> None:
    """Let all threads allocate from two arenas; for the start of a process, what exists already stays.

    glibc gives threads up to eight arenas a core, each with gaps of its own, and every reload begins a thread. 60 reloads of
    SmolLM2-135M took memory from 898 to 911 MiB with two, from 953 to 995 without.
    """
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL("libc.so.6").mallopt(_M_ARENA_MAX, _ARENAS)
