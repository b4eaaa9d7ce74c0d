"""OptList: a thousand settings of NAdamW in the order one should try them.

The list of Metz et al. 2020 (arXiv:2002.11887) comes from a search on thousands of
small tasks; its first `n` settings are a good search of `n` trials. It is
published, under the Apache licence, as the file this module reads.
"""

from __future__ import annotations

import functools
import hashlib
import json
import numbers
import os
from dataclasses import fields
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from learned_optimization import filesystem
from learned_optimization.errors import (
    DataNotFoundError,
    LoptError,
    MissingFileError,
    ResultError,
)
from learned_optimization.optimizers.base import (
    Gradient,
    LossFn,
    ModelState,
    Optimizer,
    Params,
    PRNGKey,
    check_given,
    hparam,
    optimizer,
)
from learned_optimization.optimizers.learning_rate_schedules import (
    CosineLearningRateSchedule,
)
from learned_optimization.optimizers.nadamw import NAdamW, NAdamWState
from learned_optimization.tasks.datasets.locations import data_dir

__all__ = [
    "OptList",
    "load_opt_list",
    "opt_list_path",
]

NUM_SETTINGS = 1_000
KEYS = (
    "learning_rate",
    "beta1",
    "beta2",
    "epsilon",
    "adamw_weight_decay",
    "l2_weight_decay",
    "use_nesterov",
    "warmup_fraction",
    "constant_fraction",
    "min_learning_rate_mult",
)

PUBLISHED_URL = (
    "https://raw.githubusercontent.com/google/learned_optimization/main/"
    "learned_optimization/optimizers/data/opt_list.json"
)
SHA256 = "774c4c189a6f75301c16c59dd9433c62f9a5d199c407de9a8df929d4c7702766"
"""Of the published file, which is 342,540 bytes long."""


def opt_list_path() -> str:
    """Return the path `LOPT_OPT_LIST`, or `opt_list.json` in `LOPT_DATA_DIR`."""
    default = str(data_dir() / "opt_list.json")
    return os.path.expanduser(os.environ.get("LOPT_OPT_LIST") or default)


def load_opt_list() -> dict[str, np.ndarray]:
    """Return the list, read once and fetched once.

    Where there is no file at `opt_list_path()`, it is fetched from
    `LOPT_OPT_LIST_URL` (the published place by default) and kept there.

    Returns:
      Hyper-parameter to its values in order, float32 `[1000]` (bool for
      `use_nesterov`).

    Raises:
      DataNotFoundError: if it is not there and cannot be fetched.
      LoptError: if the file is not the published one.
    """
    return _read(opt_list_path())


@functools.lru_cache(maxsize=4)
def _read(path: str) -> dict[str, np.ndarray]:
    try:
        with filesystem.open_to_read(path) as file:
            content = file.read()
    except MissingFileError:
        content = _fetch(path)
    except ResultError as error:
        raise LoptError(
            f"OptList's settings: {error} LOPT_OPT_LIST names their file."
        ) from error
    _check(content, path)
    settings = json.loads(content)
    return {
        key: np.asarray([setting[key] for setting in settings], np.float32).astype(
            bool if key == "use_nesterov" else np.float32
        )
        for key in KEYS
    }


def _fetch(path: str) -> bytes:
    url = os.environ.get("LOPT_OPT_LIST_URL") or PUBLISHED_URL
    try:
        with filesystem.open_to_read(url) as file:
            content = file.read()
    except Exception as error:
        raise DataNotFoundError(
            f"OptList's settings are not at {path} and cannot be fetched from {url}: "
            f"{type(error).__name__}: {error}. Put the file opt_list.json there, or "
            "set LOPT_OPT_LIST to its path or LOPT_OPT_LIST_URL to another address."
        ) from error
    _check(content, url)
    try:
        filesystem.write_bytes(path, content)
    except ResultError as error:
        raise LoptError(
            f"OptList's settings cannot be kept: {error} "
            "Set LOPT_OPT_LIST to a file that can be written."
        ) from error
    return content


def _check(content: bytes, source: str) -> None:
    digest = hashlib.sha256(content).hexdigest()
    if digest != SHA256:
        raise LoptError(
            f"{source}, where LOPT_OPT_LIST or LOPT_OPT_LIST_URL leads, is not the "
            f"published list of OptList: its sha256 is {digest}, "
            f"that of the published file {SHA256}. Settings of your own belong in a "
            "set of your own, with the optimizer NAdamW."
        )


@optimizer
class OptList(Optimizer):
    """NAdamW under the setting `idx` of a published list (arXiv:2002.11887).

    The learning rate rises over a share of the run, stays, and falls by half a
    cosine: the length of the run is needed.
    """

    idx: int | jax.Array = hparam(default=0)

    @property
    def needs(self) -> frozenset[str]:
        """The length of the run."""
        return frozenset({"num_steps"})

    def prepare(self) -> None:
        """Fetch the list; see `Optimizer.prepare`."""
        load_opt_list()
        is_whole = isinstance(self.idx, numbers.Integral) and self.idx is not True
        if not isinstance(self.idx, jax.Array) and not (
            is_whole and 0 <= self.idx < NUM_SETTINGS
        ):
            raise LoptError(
                "OptList.idx must be a whole number from 0 to "
                f"{NUM_SETTINGS - 1}, got {self.idx}."
            )

    def setting(self) -> NAdamW:
        """Return the `NAdamW` that the list has at `idx`."""
        table = jax.tree.map(jnp.asarray, load_opt_list())
        chosen: dict[str, Any] = {
            key: column[self.idx] for key, column in table.items()
        }
        schedule = CosineLearningRateSchedule(
            **{f.name: chosen.pop(f.name) for f in fields(CosineLearningRateSchedule)}
        )
        return NAdamW(learning_rate=schedule, **chosen)

    def init(
        self,
        params: Params,
        model_state: ModelState | None = None,
        num_steps: int | None = None,
        key: PRNGKey | None = None,
    ) -> NAdamWState:
        """Return the state before the first update; see `Optimizer.init`."""
        check_given(self, num_steps=num_steps)
        return self.setting().init(params, model_state, num_steps, key)

    def update(
        self,
        opt_state: NAdamWState,
        grad: Gradient,
        loss: jax.Array | None = None,
        model_state: ModelState | None = None,
        is_valid: bool = False,
        key: PRNGKey | None = None,
        loss_fn: LossFn | None = None,
        **extra: Any,
    ) -> NAdamWState:
        """Return the state after one step; see `Optimizer.update`."""
        del loss, is_valid, key, loss_fn, extra
        return self.setting().update(opt_state, grad, model_state=model_state)
