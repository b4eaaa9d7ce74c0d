"""Hparam sets of one's own.

    hparam_set("MyAdam_10000_R5", "Adam", num_steps=10_000,
               space={"learning_rate": {"log": [1e-4, 1e-1], "points": 7}})

Results are stored under the optimizer's name and the hyper-parameters given,
`Adam_lr0.001` say, as those of the package's own sets are: where settings are
equal, results are shared.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from learned_optimization import configuration
from learned_optimization.baselines import search_space
from learned_optimization.baselines.hparam_sets import HParamSet, add_hparam_set
from learned_optimization.baselines.settings import (
    as_parameter_value,
    check_start,
    make_optimizer,
    setting_name,
    short_key,
    show_setting,
)
from learned_optimization.configurable import configurable
from learned_optimization.errors import LoptError, UnknownNameError, check_at_least
from learned_optimization.optimizers.base import Optimizer, get_optimizer

SEARCHES = ("grid", "random", "quasi_random")
"""How the configurations of a space are chosen."""

_COLLECTED: ContextVar[list[HParamSet] | None] = ContextVar("sets", default=None)


def hparam_set(
    name: str,
    optimizer: str | type[Optimizer] | Any,
    num_steps: int,
    space: Mapping[str, Any] | None = None,
    fixed: Mapping[str, Any] | None = None,
    search: str = "grid",
    num_configs: int | None = None,
    search_seed: int = 0,
    seeds: int = 5,
    eval_every: int = 10,
    eval_batches: int = 5,
    last_eval_batches: int = 10,
) -> HParamSet:
    """Makes a set, which every command then knows by its name.

    A hyper-parameter is one of the optimizer, `learning_rate`, or with a dot one
    of a schedule or an optimizer inside, `CosineDecay.learning_rate`.

    Args:
      name: the set's name.
      optimizer: the optimizer, or its name.
      num_steps: number of the last update of a trial.
      space: hyper-parameter to a list of values or a range; see `search_space`.
      fixed: hyper-parameter to its value in every configuration; text such as
        `@CosineDecay()` is a gin reference.
      search: `grid` takes every combination, `random` and `quasi_random` (a
        scrambled Halton sequence) take `num_configs`.
      num_configs: configurations to draw; not of a grid.
      search_seed: decides what is drawn.
      seeds: trials of each configuration, with seeds numbered from 0.
      eval_every: updates between evaluations.
      eval_batches: batches of each split in an evaluation.
      last_eval_batches: the same, at `num_steps`.

    Returns:
      The set.

    Raises:
      LoptError: naming what is wrong, with the nearest names; no set is made then.
    """
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name):
        raise LoptError(
            f"a set's name is made of letters, digits, '_', '-' and '.', got {name!r}."
        )
    for what, number in (
        ("num_steps", num_steps),
        ("seeds", seeds),
        ("eval_every", eval_every),
        ("eval_batches", eval_batches),
        ("last_eval_batches", last_eval_batches),
    ):
        check_at_least(what, number, 1)
    configuration.register_all()
    named = optimizer if isinstance(optimizer, str) else _name_of(optimizer)
    cls = get_optimizer(named).__name__
    settings = [
        {key: as_parameter_value(cls, key, value) for key, value in setting.items()}
        for setting in _search(
            _with_short_keys(cls, space or {}),
            _with_short_keys(cls, fixed or {}),
            search,
            num_configs,
            search_seed,
        )
    ]
    made = HParamSet(
        name=name,
        optimizer=cls,
        opt_names=tuple(setting_name(cls, setting) for setting in settings),
        hparams=tuple(settings),
        num_steps=num_steps,
        repetitions=seeds,
        eval_every=eval_every,
        eval_batches=eval_batches,
        last_eval_batches=last_eval_batches,
    )
    _check_configurations(made)
    add_hparam_set(made)
    collected = _COLLECTED.get()
    if collected is not None:
        collected.append(made)
    return made


configured_hparam_set = configurable("learned_optimization.baselines.user_sets")(
    hparam_set
)
"""`hparam_set`, with arguments that gin may bind."""


@contextmanager
def collecting_sets() -> Iterator[list[HParamSet]]:
    """Within it, notes the sets that `hparam_set` makes, in their order."""
    collected: list[HParamSet] = []
    token = _COLLECTED.set(collected)
    try:
        yield collected
    finally:
        _COLLECTED.reset(token)


def _name_of(optimizer: Any) -> str:
    return getattr(optimizer, "__name__", repr(optimizer))


def _with_short_keys(optimizer: str, given: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        raise LoptError(
            "space and fixed map hyper-parameters to values, e.g. "
            f"{{'learning_rate': ...}}, got {given!r}."
        )
    for key in given:
        if not isinstance(key, str):
            raise LoptError(f"a hyper-parameter's name must be text, got {key!r}.")
    return {short_key(optimizer, key): value for key, value in given.items()}


def _search(
    space: Mapping[str, Any],
    fixed: Mapping[str, Any],
    search: str,
    num_configs: int | None,
    seed: int,
) -> list[dict[str, Any]]:
    if twice := sorted(space.keys() & fixed.keys()):
        raise LoptError(f"{twice[0]} is in the space and fixed: leave one out.")
    if search not in SEARCHES:
        raise UnknownNameError("search", str(search), SEARCHES)
    parsed = search_space.parse_space(space)
    if search == "grid":
        if num_configs is not None:
            raise LoptError(
                f"a grid takes every combination, and num_configs is {num_configs}: "
                "leave it out, or search random or quasi_random."
            )
        found = search_space.grid(parsed)
    elif num_configs is None:
        raise LoptError(f"a {search} search needs num_configs: how many to draw.")
    elif search == "random":
        found = search_space.random(parsed, num_configs, seed)
    else:
        found = search_space.quasi_random(parsed, num_configs, seed)
    return [{**fixed, **drawn} for drawn in found]


def _check_configurations(made: HParamSet) -> None:
    """Makes and starts every optimizer, so that what is wrong fails at once."""
    seen: dict[str, str] = {}
    for opt_name, setting in zip(made.opt_names, made.hparams, strict=True):
        shown = show_setting(made.optimizer, setting)
        opt = make_optimizer(made.optimizer, setting)
        opt.prepare()
        check_start(opt, made.num_steps, shown)
        for key in (f"the name {opt_name}", f"the setting {opt.name}"):
            if key in seen:
                raise LoptError(
                    f"two configurations of {made.name} share {key}: {seen[key]} and "
                    f"{shown}."
                )
            seen[key] = shown
