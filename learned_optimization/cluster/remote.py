"""Runs functions on the nodes of a cluster, again where a node is lost."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from learned_optimization.cluster.resources import GroupResources
from learned_optimization.errors import LoptError
from learned_optimization.text import said

# How often a task is begun again after its node, or its process, was lost.
_MAX_RETRIES = 8


def remote(
    function: Callable[..., Any],
    resources: GroupResources,
    environment: dict[str, str],
    **options: Any,
) -> Any:
    """Return a function as a Ray task, which is retried where its node is lost.

    Args:
      function: what a task does.
      resources: what it gets of a node.
      environment: variables of its process.
      **options: others of Ray's.
    """
    return ray.remote(
        num_cpus=resources.num_cpus,
        num_gpus=resources.num_gpus,
        max_retries=_MAX_RETRIES,
        runtime_env={"env_vars": environment},
        **options,
    )(function)


def result_of(ref: Any, which: str, kept: str) -> Any:
    """Wait for the result of a task.

    Args:
      ref: of the result.
      which: the task, for errors.
      kept: a sentence on what is left if it cannot be had.

    Raises:
      LoptError: if the task raised one, or was lost too often.
    """
    try:
        return ray.get(ref)
    except RayTaskError as error:
        if isinstance(error.cause, LoptError):
            raise LoptError(f"{which}, {error.cause}") from None
        raise
    except RayError as error:
        reason = said(error).partition("\n")[0].rstrip(".")
        raise LoptError(
            f"{which} was lost {_MAX_RETRIES + 1} times, or cannot be started: "
            f"{reason}. {kept}"
        ) from error


def places(resources: GroupResources) -> int:
    """Return how many tasks the cluster has room for at a time."""
    return sum(resources.places(n["Resources"]) for n in ray.nodes() if n["Alive"])


def check_has_place(resources: GroupResources, *, may_grow: bool) -> int:
    """Return `places`, and warn if there are none.

    Args:
      resources: what a task gets.
      may_grow: whether nodes may join the cluster, so that tasks wait for one.

    Raises:
      LoptError: if there are none, and none can be waited for.
    """
    num_places = places(resources)
    if not num_places:
        message = f"no node of the cluster has {resources} for a group"
        if not may_grow:
            raise LoptError(f"{message}: ask for less.")
        warnings.warn(f"{message}; waiting for one.", stacklevel=3)
    return num_places
