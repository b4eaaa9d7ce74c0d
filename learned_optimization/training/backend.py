"""How jax is set up for whole training runs: devices, and kept programs."""

from __future__ import annotations

import hashlib
import os
import platform
import uuid
from pathlib import Path
from typing import Any

import jax

from learned_optimization import filesystem
from learned_optimization.cache import cache_dir, cannot_keep
from learned_optimization.errors import BackendError, ResultError
from learned_optimization.text import said

# Programs that compile faster than this are not worth a file.
_LEAST_COMPILE_SECONDS = 0.3
_CACHE_BYTES = 2 << 30


def use_all_cores() -> None:
    """Make every processor core a jax device of its own.

    Small models gain far more from several trials side by side than from
    several threads in one matrix product. To be called before jax first
    computes; the command line does. A later call, or a machine whose default
    backend is not the CPU, is left as it is.
    """
    if "JAX_NUM_CPU_DEVICES" in os.environ:
        return
    try:
        jax.config.update("jax_num_cpu_devices", num_cores())
    except RuntimeError:
        # The backend is up already and keeps the devices it has.
        return


def keep_compiled() -> None:
    """Keep compiled programs on disk, for the next run of the same kind.

    They go to `LOPT_CACHE_DIR` (`~/.cache/lopt`), a folder for each kind of
    processor: a program compiled for one may not run on another. A program holds
    no learning rate of a set, so all runs of a set's kind share it. Processes may
    share the folder; the oldest programs go when it holds more than 2 GiB. Where
    `JAX_COMPILATION_CACHE_DIR` is set, jax's own choice is left as it is. Where the
    folder cannot be written to, that is said once, and programs are not kept.
    """
    if _is_set():
        return
    folder = cache_dir() / "programs" / processor()
    try:
        probe = folder / f".lopt-write-check-{uuid.uuid4().hex}"
        filesystem.write_whole(probe, lambda file: None)
        filesystem.remove_file(probe)
    except ResultError as error:
        cannot_keep("compiled programs", error, "they are compiled again")
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_compilation_cache_max_size", _CACHE_BYTES)
    jax.config.update(
        "jax_persistent_cache_min_compile_time_secs", _LEAST_COMPILE_SECONDS
    )
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)


def _is_set() -> bool:
    return bool(jax.config.jax_compilation_cache_dir)  # pyright: ignore[reportAttributeAccessIssue]


def local_devices() -> list[Any]:
    """Return the devices of this process, starting jax's backend if need be.

    Raises:
      BackendError: if it cannot start.
    """
    try:
        return jax.local_devices()
    # A RuntimeError, or for a plugin that is not installed an AssertionError.
    except Exception as error:
        raise BackendError(said(error)) from error


def num_cores() -> int:
    """Return the processor cores this process may use."""
    # Not every system can say which cores this process may use.
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor() -> str:
    """Return equal for processors that run each other's programs."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    # What a processor can do, as Linux lists it for each core.
    abilities = sorted(
        {line for line in lines if line.startswith(("flags", "Features"))}
    )
    text = "\n".join([platform.system(), platform.machine(), *sorted(abilities)])
    return f"{platform.machine()}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
