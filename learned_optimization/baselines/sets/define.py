"""Hyper-parameter sets of your own: an optimizer, a search space, a length.

    hparam_set(
        name="LionLR_1000_R5",
        optimizer="Lion",
        num_steps=1000,
        space={"learning_rate": {"log": [1e-5, 1e-2], "points": 7}},
    )

makes a set and registers it. Everything about it is checked at once: a
misspelt hyper-parameter, a value the optimizer does not take, two settings that
would share a name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from learned_optimization import configuration
from learned_optimization.baselines.folder_names import is_plain_name
from learned_optimization.baselines.sets import search_space
from learned_optimization.baselines.sets.hparam_set import HParamSet
from learned_optimization.baselines.sets.limits import check_size
from learned_optimization.baselines.sets.registry import add_hparam_set
from learned_optimization.baselines.sets.search_space import Config
from learned_optimization.baselines.sets.settings import (
    as_parameter_value,
    check_starts,
    make_optimizers,
    setting_name,
    short_key,
    show_setting,
)
from learned_optimization.configurable import configurable
from learned_optimization.errors import LoptError, UnknownNameError
from learned_optimization.optimizers.base import Optimizer, get_optimizer
from learned_optimization.text import brief
from learned_optimization.torch_optimizers.define import PREFIX, torch_class
from learned_optimization.training.plan import RunPlan

__all__ = [
    "SEARCHES",
    "hparam_set",
]

SEARCHES = ("grid", "random", "quasi_random")
"""How configurations are chosen from a space."""

# An archive is named after its set, and written under a longer name first.
_MAX_NAME_BYTES = 200


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
    """Make a set of an optimizer's settings and register it.

    Doing so again, as when the cell of a notebook runs twice, replaces the set.

    Hyper-parameters are the optimizer's own by name, or those of another
    configurable as `CosineDecay.learning_rate`; a value such as
    `"@CosineDecay()"` refers to one.

    Args:
      name: the set's name: letters, digits and `_ . + -`.
      optimizer: name of an optimizer, or its class; `torch:torch.optim.Adam` names a
        class of PyTorch, or of a library for it.
      num_steps: number of the last update.
      space: hyper-parameter to a list of values or a range; see `search_space`.
      fixed: hyper-parameter to its value in every configuration.
      search: `"grid"`, `"random"` or `"quasi_random"`.
      num_configs: configurations a search draws; a grid has all of them.
      search_seed: decides what a search draws.
      seeds: repetitions of each configuration, with seeds 0, 1, ...
      eval_every: updates between evaluations.
      eval_batches: batches of each split in an evaluation.
      last_eval_batches: the same, at `num_steps`.

    Returns:
      The set. Its `opt_names` are the class and the hyper-parameters given, as
      those of the sets of this package, so that equal settings share results.

    Raises:
      LoptError: if an argument is wrong, an optimizer cannot be made with its
        values, two configurations are the same or share a name, or a set of the
        package, or of another file, has this one's name; nothing is registered then.
    """
    _check_name(name)
    configuration.register_all()
    opt_class = _optimizer_name(optimizer)
    plan = RunPlan(num_steps, eval_every, eval_batches, last_eval_batches)
    check_size(0, seeds)
    settings = [
        {k: as_parameter_value(opt_class, k, v) for k, v in setting.items()}
        for setting in _settings(
            opt_class, space or {}, fixed or {}, search, num_configs, search_seed
        )
    ]
    made = HParamSet(
        name=name,
        optimizer=opt_class,
        opt_names=_checked_names(opt_class, settings, num_steps),
        hparams=tuple(settings),
        num_steps=plan.num_steps,
        repetitions=seeds,
        eval_every=plan.eval_every,
        eval_batches=plan.eval_batches,
        last_eval_batches=plan.last_eval_batches,
    )
    return add_hparam_set(made)


# gin's own, for files of bindings: it adds lines of its own to every error.
configured_hparam_set = configurable("learned_optimization.baselines.sets.define")(
    hparam_set
)


def _check_name(name: Any) -> None:
    if not isinstance(name, str) or not is_plain_name(name):
        raise LoptError(
            "a set's name names a file: it must be letters, digits and _ . + - and "
            f"begin with a letter or digit, got {brief(name)}."
        )
    if len(name.encode()) > _MAX_NAME_BYTES:
        raise LoptError(
            f"a set's name must be at most {_MAX_NAME_BYTES} bytes long, got "
            f"{len(name.encode())} ({name[:40]}...)."
        )


def _optimizer_name(optimizer: Any) -> str:
    if isinstance(optimizer, str) and optimizer.startswith(PREFIX):
        return torch_class(optimizer).__name__
    if isinstance(optimizer, str):
        get_optimizer(optimizer)
        return optimizer
    if not (isinstance(optimizer, type) and issubclass(optimizer, Optimizer)):
        raise LoptError(
            "optimizer must be the name of an optimizer, e.g. 'Adam', or its class, "
            f"got {brief(optimizer)}."
        )
    try:
        known = get_optimizer(optimizer.__name__)
    except UnknownNameError:
        known = None
    if known is not None and known.__module__ == optimizer.__module__:
        if known is not optimizer:
            raise LoptError(
                f"{optimizer.__name__} was defined again after this class: pass what "
                f"has the name now, or {optimizer.__name__!r}."
            )
    elif known is not optimizer:
        raise LoptError(
            f"{optimizer.__name__} is not registered: decorate the class with "
            "@optimizer, or make it with @optax_optimizer."
        )
    return optimizer.__name__


def _settings(
    optimizer: str,
    space: Mapping[str, Any],
    fixed: Mapping[str, Any],
    search: str,
    num_configs: int | None,
    search_seed: int,
) -> list[Config]:
    if not isinstance(fixed, Mapping):
        raise LoptError(
            "fixed maps each hyper-parameter to its value, e.g. {'beta1': 0.9}, got "
            f"{brief(fixed)}."
        )
    parsed = search_space.parse_space(space)
    parsed = {short_key(optimizer, k): v for k, v in parsed.items()}
    given = {short_key(optimizer, k): v for k, v in fixed.items()}
    if both := sorted(parsed.keys() & given.keys()):
        raise LoptError(f"{', '.join(both)}: both in the space and fixed; choose one.")
    if search not in SEARCHES:
        raise UnknownNameError("search", str(search), SEARCHES)
    if search == "grid":
        if num_configs is not None:
            raise LoptError(
                f"num_configs is {num_configs!r}, but a grid has every combination: "
                "leave it out, or search at random."
            )
        configs = search_space.grid(parsed)
    else:
        if num_configs is None:
            raise LoptError(f"a {search} search needs num_configs: how many to draw.")
        draw = getattr(search_space, search)
        configs = draw(parsed, num_configs, search_seed)
    return [{**given, **config} for config in configs]


def _checked_names(
    optimizer: str, settings: list[Config], num_steps: int
) -> tuple[str, ...]:
    """Return the settings' names, after making the optimizer of each."""
    names: dict[str, Config] = {}
    made: dict[str, Config] = {}
    opts = make_optimizers(optimizer, settings)
    check_starts(optimizer, settings, opts, num_steps)
    for setting, opt in zip(settings, opts, strict=True):
        name = setting_name(optimizer, setting)
        for known, key, what in (
            (made, opt.name, "are the same setting"),
            (names, name, "would store their results under the same name"),
        ):
            other = known.setdefault(key, setting)
            if other is not setting:
                one, two = (show_setting(optimizer, s) for s in (other, setting))
                raise LoptError(f"{one} and {two} {what}, {key}: leave one out.")
    return tuple(names)
