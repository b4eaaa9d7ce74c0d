"""Connects to a Ray cluster, or starts one on this machine."""

from __future__ import annotations

import importlib.util
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from learned_optimization.errors import LoptError

_SECONDS_TO_CONNECT = 10.0


@contextmanager
def connected(address: str) -> Iterator[None]:
    """Connect this process to a Ray cluster as its driver, within the block.

    Args:
      address: that of an existing cluster, e.g. `auto` on one of its nodes,
        `10.0.0.1:6379`, or `ray://10.0.0.1:10001` from elsewhere; `local` starts
        one on this machine, which ends with the block.

    Raises:
      LoptError: if there is no such cluster, or no Ray.
    """
    if importlib.util.find_spec("ray") is None:
        raise LoptError(
            "Ray is not installed: pip install 'optimizer-baselines[ray]', here and on "
            "every node."
        )
    # Unless told not to, Ray sends usage statistics and warns of coming changes.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    _check_reachable(address)
    import ray
    from ray.exceptions import RayError

    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address == "local":
        options["include_dashboard"] = False
    try:
        ray.init(address, **options)
    except (OSError, RayError, RuntimeError, ValueError, ImportError) as error:
        raise _unreachable(address, error) from error
    try:
        yield
    finally:
        ray.shutdown()


def _check_reachable(address: str) -> None:
    # Ray itself would try forever.
    match = re.fullmatch(r"(?:ray://)?(.+):(\d+)", address)
    if match is None:
        return
    try:
        port = int(match[2])
        socket.create_connection((match[1], port), _SECONDS_TO_CONNECT).close()
    except (OSError, OverflowError) as error:
        raise _unreachable(address, error) from error


def _unreachable(address: str, error: Exception) -> LoptError:
    reason = str(error).strip().partition("\n")[0].rstrip(".")
    return LoptError(
        f"cannot reach a Ray cluster at {address!r}: {reason}. An address is "
        "HOST:PORT, ray://HOST:PORT, auto (on a node of the cluster), or local (this "
        "machine alone)."
    )
