"""Connects to a Ray cluster, or starts one on this machine."""

from __future__ import annotations

import importlib.util
import ipaddress
import os
import re
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from learned_optimization.errors import LoptError
from learned_optimization.text import said

_SECONDS_TO_CONNECT = 10.0


@contextmanager
def connected(address: str) -> Iterator[None]:
    """Connect this process to a Ray cluster as its driver, within the block.

    Args:
      address: that of an existing cluster, e.g. `auto` on one of its nodes,
        `10.0.0.1:6379`, or `ray://10.0.0.1:10001` from elsewhere; `local` starts
        one on this machine, which ends with the block. It listens at loopback
        addresses alone, and asks for a token of its own.

    Raises:
      LoptError: if there is no such cluster, or no Ray, or a local one would be
        reachable from elsewhere.
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
    is_local = address == "local"
    with _private_to_this_machine() if is_local else nullcontext():
        import ray
        from ray.exceptions import RayError

        options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
        if is_local:
            options["include_dashboard"] = False
        try:
            ray.init(address, **options)
        except (OSError, RayError, RuntimeError, ValueError, ImportError) as error:
            raise _unreachable(address, error) from error
        try:
            if is_local:
                _check_loopback(ray.get_runtime_context().gcs_address)
            yield
        finally:
            ray.shutdown()


@contextmanager
def _private_to_this_machine() -> Iterator[None]:
    """Tell a Ray that is started here to listen at loopback, and to ask for a token.

    Without, whoever reaches the machine could run code on it.
    """
    # On other systems that is Ray's default, which this variable decides.
    wanted = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
    if "RAY_AUTH_MODE" not in os.environ:
        # Other users of this machine reach loopback too.
        wanted |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _check_loopback(address: str) -> None:
    host = address.rpartition(":")[0].strip("[]")
    if not ipaddress.ip_address(host).is_loopback:
        raise LoptError(
            f"the Ray cluster of this machine listens at {address}, where others reach "
            "it: ray was imported before, and has read its settings by then. Connect "
            "before anything else imports ray."
        )


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
    reason = said(error).partition("\n")[0].rstrip(".")
    return LoptError(
        f"cannot reach a Ray cluster at {address!r}: {reason}. An address is "
        "HOST:PORT, ray://HOST:PORT, auto (on a node of the cluster), or local (this "
        "machine alone)."
    )
