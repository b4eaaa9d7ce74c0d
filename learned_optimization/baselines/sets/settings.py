"""One setting of an optimizer: its parameters checked, the optimizer made, a name.

A setting maps parameters to values, as an `HParamSet` holds it: a parameter of
the optimizer by its name, one of another configurable, such as the schedule or
the optimizer inside, as `CosineDecay.learning_rate`.
"""

from __future__ import annotations

import dataclasses
import inspect
import itertools
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import gin
import jax
import jax.numpy as jnp

from learned_optimization import configuration, filesystem
from learned_optimization.baselines.folder_names import value_text
from learned_optimization.baselines.sets.hparam_set import gin_key
from learned_optimization.baselines.sets.search_space import Config, Value, as_value
from learned_optimization.errors import LoptError, UnknownNameError
from learned_optimization.filesystem import MAX_NAME_BYTES
from learned_optimization.learned_optimizers.base import digest_of
from learned_optimization.learned_optimizers.opt_from_checkpoint import lopt_and_theta
from learned_optimization.optimizers.base import Optimizer, check_hparams
from learned_optimization.prng import key_of_words
from learned_optimization.text import brief, said

Setting = Mapping[str, Any]

_REFERENCE = re.compile(r"@([\w./]+)\(\)")
# Arguments of `opt_from_checkpoint`, and of what makes optimizers by it.
_CHECKPOINT = "checkpoint_path"
_PATHS = (_CHECKPOINT, "config_path")
_MODULE = re.compile(r"\w+(\.\w+)*\.(?=\w+\.\w+$)")


def short_key(optimizer: str, parameter: str) -> str:
    """Return a parameter as settings hold it: no modules, the optimizer's own bare.

    Raises:
      LoptError: if there is no such configurable or parameter, with the nearest
        names.
    """
    if not isinstance(parameter, str):
        raise LoptError(
            f"a hyper-parameter's name must be text, got {brief(parameter)}."
        )
    parameter = _MODULE.sub("", parameter).removeprefix(f"{optimizer}.")
    if "." in parameter:
        with configuration.bound({parameter: None}):
            return parameter
    known = _parameters(optimizer)
    if parameter not in known:
        if why := configuration.not_supported(optimizer, parameter):
            raise LoptError(
                f"{optimizer} has no hyper-parameter {brief(parameter)}: {why}."
            )
        raise UnknownNameError(f"hyper-parameter of {optimizer}", parameter, known)
    return parameter


def as_parameter_value(optimizer: str, parameter: str, value: Any) -> Value:
    """Return a value in the type of the parameter's default.

    `1` for a learning rate becomes `1.0`, so that it is written, and its results
    are found, as those of `1.0` are.

    Args:
      optimizer: gin name of the optimizer.
      parameter: as `short_key` returns it.
      value: what a person gave.

    Raises:
      LoptError: if the value is no number, text, True, False or None, or a
        reference that is not `@name()`.
    """
    owner, _, name = gin_key(optimizer, parameter).rpartition(".")
    value = as_value(f"{owner}.{name}", value)
    field = _parameters(owner).get(name)
    if isinstance(value, str) and value[:1] in ("@", "%"):
        value = _as_reference(f"{owner}.{name}", value)
    if isinstance(value, str) and name in _PATHS:
        value = _from_root(value)
    if value is None or field is None:
        return value
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if field.metadata.get("static"):
        # A space of numbers may hold 3.0 where a whole number is meant.
        is_whole = isinstance(value, float) and value.is_integer()
        return int(value) if is_whole and type(field.default) is int else value
    wants_float = field.default is None or isinstance(field.default, float)
    return float(value) if is_whole and wants_float else value


def _from_root(path: str) -> str:
    """Return a path that leads to the same file from any folder."""
    path = filesystem.without_scheme(path)
    return os.path.abspath(path) if filesystem.is_local(path) else path


def _as_reference(what: str, value: str) -> str:
    if value.startswith("%"):
        raise LoptError(
            f"{what} is the macro {value}: give the value itself, a macro may stand "
            "for another one tomorrow."
        )
    match = _REFERENCE.fullmatch(value)
    if match is None:
        raise LoptError(
            f"{what} must refer to a configurable as '@CosineDecay()', with a pair "
            f"of parentheses, got {brief(value)}."
        )
    scope, slash, selector = match[1].rpartition("/")
    return f"@{scope}{slash}{selector.rpartition('.')[2]}()"


def make_optimizer(optimizer: str, setting: Setting) -> Optimizer:
    """Return the optimizer of a setting, made as for a trial.

    Raises:
      LoptError: if a name or value is wrong, or nothing uses a given parameter of
        another configurable.
    """
    return make_optimizers(optimizer, [setting])[0]


def make_optimizers(optimizer: str, settings: Iterable[Setting]) -> list[Optimizer]:
    """Return the optimizers of many settings, as `make_optimizer` makes each.

    Raises:
      LoptError: as `make_optimizer`.
    """
    made = []
    for _, alike in itertools.groupby(settings, key=tuple):
        used: set[tuple[Any, ...]] = set()
        # One after another takes the place of the same bindings.
        with configuration.bound({}):
            for setting in alike:
                configuration.bind(_bindings(optimizer, setting))
                # Only references decide what else is made.
                texts = tuple(v for v in setting.values() if isinstance(v, str))
                make = _make if texts in used else _make_of_all
                made.append(make(optimizer, setting))
                used.add(texts)
    return made


def _bindings(optimizer: str, setting: Setting) -> dict[str, Any]:
    return {gin_key(optimizer, k): v for k, v in setting.items()}


def _make(optimizer: str, setting: Setting) -> Optimizer:
    try:
        made = gin.get_configurable(optimizer)()
    except Exception as error:  # whatever a user's own optimizer raises
        shown, reason = show_setting(optimizer, setting), configuration.reason(error)
        raise LoptError(f"{shown} cannot be made: {reason}") from error
    check_hparams(made)
    return made


def _make_of_all(optimizer: str, setting: Setting) -> Optimizer:
    """Return the optimizer; refuse a setting of which it does not use everything."""
    with configuration.own_operative_config():
        made = _make(optimizer, setting)
        used = gin.operative_config_str()
    for key in _bindings(optimizer, setting):
        if not re.search(rf"^{re.escape(key)} =", used, re.MULTILINE):
            owner = key.rpartition(".")[0]
            raise LoptError(
                f"nothing in {show_setting(optimizer, setting)} uses {key}: give the "
                "hyper-parameter that it belongs to, e.g. "
                f'learning_rate="@{owner}()".'
            )
    return made


def check_starts(
    optimizer: str, settings: Sequence[Setting], opts: Sequence[Optimizer], steps: int
) -> None:
    """Start optimizers on two small arrays, without computing anything.

    Of those that differ in numbers with a fraction alone one is started: in training
    such numbers are traced, and `init` cannot tell them apart.

    Args:
      optimizer: gin name of the optimizer.
      settings: the settings.
      opts: the optimizer of each.
      steps: number of the last update.

    Raises:
      LoptError: if the `prepare` or `init` of one refuses its hyper-parameters.
    """
    started: set[Any] = set()
    for setting, opt in zip(settings, opts, strict=True):
        opt.prepare()
        if not opt.is_traceable:
            continue
        leaves, structure = jax.tree.flatten(opt)
        kind = structure, *(float if type(v) is float else repr(v) for v in leaves)
        if kind not in started:
            _start(opt, steps, setting, optimizer)
            started.add(kind)


def _start(opt: Optimizer, num_steps: int, setting: Setting, optimizer: str) -> None:
    # Nothing is computed: jax's devices are chosen later, when training begins.
    def start(params: Any, words: Any) -> Any:
        key = key_of_words(words)
        return opt.init(params, model_state=None, num_steps=num_steps, key=key)

    shapes = {"w": (2, 2), "b": (2,)}
    params = {k: jax.ShapeDtypeStruct(s, jnp.float32) for k, s in shapes.items()}
    try:
        jax.eval_shape(start, params, jax.ShapeDtypeStruct((2,), jnp.uint32))
    except Exception as error:  # whatever a user's own optimizer raises
        shown = show_setting(optimizer, setting)
        raise LoptError(f"{shown} cannot start: {said(error)}") from error


def show_setting(optimizer: str, setting: Setting) -> str:
    """Return a setting for a person to read, e.g. `Adam(learning_rate=0.001)`."""
    return f"{optimizer}({', '.join(f'{k}={brief(v)}' for k, v in setting.items())})"


def setting_name(optimizer: str, setting: Config) -> str:
    """Return the name results are stored under: the class and what is given.

    `Adam_lr0.001_b10.95`, say: the hyper-parameters in the order of the
    optimizer's fields, those of a schedule or an optimizer inside in
    parentheses, `Adam_lr(CosineDecay_lr0.001)`, as `Optimizer.name` has them.
    Values read back as the same number; whole ones are written `1`, not `1.0`. For
    the path of a checkpoint stands what tells its meta-parameters from others.

    Args:
      optimizer: gin name of the optimizer.
      setting: its values, as `as_parameter_value` returns them.

    Raises:
      LoptError: if the name cannot be a folder's.
    """
    left = _with_digests({gin_key(optimizer, k): v for k, v in setting.items()})
    name = _describe(optimizer, left)
    # What no reference leads to belongs to a default value, such as a schedule.
    name += "".join(f"_{k.replace('/', '.')}{_text(v)}" for k, v in left.items())
    if "/" in name or not name.isprintable():
        raise LoptError(
            f"{show_setting(optimizer, setting)} names a folder: text in it must be "
            "printable and without a slash."
        )
    size = len(os.fsencode(name))
    if size > MAX_NAME_BYTES:
        raise LoptError(
            f"results of {name[:80]}... would be stored in a folder of {size} bytes, "
            f"and file systems allow {MAX_NAME_BYTES}: leave out what is the default "
            "anyway, or give the optimizer's fields shorter names by "
            "`hparam(default=..., short=...)`."
        )
    return name


def _with_digests(left: dict[str, Value]) -> dict[str, Value]:
    """Return values by their gin names, with digests in place of checkpoints' paths."""
    shown = dict(left)
    for key in left:
        owner, _, parameter = key.rpartition(".")
        if parameter == _CHECKPOINT:
            of_owner = {
                k.rpartition(".")[2]: k for k in left if k.startswith(f"{owner}.")
            }
            given = {p: str(left[k]) for p, k in of_owner.items() if p in _PATHS}
            _, theta = lopt_and_theta(**given)
            for path in given:
                del shown[of_owner[path]]
            shown[key] = digest_of(theta)
    return shown


def _describe(selector: str, left: dict[str, Value]) -> str:
    """Return a configurable's name and settings as text; takes them out of `left`."""
    text = selector.rpartition(".")[2].replace("/", ".")
    for name, field in _parameters(selector).items():
        key = f"{selector}.{name}"
        if key not in left:
            continue
        value = left.pop(key)
        short = name if field is None else field.metadata.get("short", name)
        reference = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
        inner = f"({_describe(reference[1], left)})" if reference else _text(value)
        text += f"_{short}{inner}"
    return text


def _text(value: Value) -> str:
    return value_text(value).removeprefix("@")


def _parameters(selector: str) -> dict[str, dataclasses.Field | None]:
    """Return the parameters of a gin configurable: its fields if it is a dataclass."""
    configurable: Any = gin.get_configurable(selector.rpartition("/")[2])
    if dataclasses.is_dataclass(configurable):
        return {f.name: f for f in dataclasses.fields(configurable) if f.init}
    signature = inspect.signature(configurable)
    return {p: None for p in signature.parameters if p != "self"}
