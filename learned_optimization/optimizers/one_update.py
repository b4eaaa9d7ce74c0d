"""Tries an optimizer for one update, without computing anything.

Whoever defines an optimizer hears at once what no training could use: a state that is
not the same kind of thing after an update, or Python that asks a traced number for its
value.
"""

from __future__ import annotations

import dataclasses
import os
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import jax
import jax.numpy as jnp

import learned_optimization
from learned_optimization.errors import LoptError
from learned_optimization.prng import key_of_seed
from learned_optimization.registry import is_packaged

_NUM_STEPS = 10
# A scalar, a vector and a matrix: what every model has.
_SHAPES = {"scale": (), "bias": (3,), "weight": (2, 3)}
_NOT_TRACEABLE = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
)
_CHECKED: set[tuple[type, Any]] = set()
_PACKAGE = os.path.dirname(learned_optimization.__file__)


def check_definition(cls: Any) -> None:
    """Check a class of one's own by an update with its default hyper-parameters.

    Where it has none, or refuses them, its first instance that is trained is checked.

    Args:
      cls: a dataclass, the class of an optimizer.

    Raises:
      LoptError: as `check_one_update`.
    """
    absent = dataclasses.MISSING
    if is_packaged(cls.__module__) or any(
        field.default is absent and field.default_factory is absent
        for field in dataclasses.fields(cls)
        if field.init
    ):
        return
    try:
        opt = cls()
    except LoptError:
        return
    check_one_update(opt)


def check_one_update_once(opt: Any) -> None:
    """Check an optimizer of one's own, once for each program it may make.

    Those of the package are known to step, but for an `OptaxOptimizer`, which holds a
    transformation of anyone's.

    Raises:
      LoptError: as `check_one_update`.
    """
    leaves, structure = jax.tree.flatten(opt)
    holds_anything = any(leaf is opt for leaf in leaves)
    if is_packaged(type(opt).__module__) and not holds_anything:
        return
    try:
        is_known = not holds_anything and (type(opt), structure) in _CHECKED
    except TypeError:
        # A static field that has no hash.
        is_known = False
    if not is_known:
        check_one_update(opt)
        with suppress(TypeError):
            _CHECKED.add((type(opt), structure))


def check_one_update(opt: Any) -> None:
    """Start an optimizer on three small arrays and update it once, traced only.

    Its hyper-parameters are traced as they are where one program serves many settings.

    Args:
      opt: the optimizer.

    Raises:
      LoptError: naming the optimizer, what is wrong, and the line where it is.
    """
    name = type(opt).__name__
    params = {k: jax.ShapeDtypeStruct(s, jnp.float32) for k, s in _SHAPES.items()}
    state = _traced(name, "init", _start, opt, params)
    _check_arrays(name, state)
    held = _traced(name, "get_params", _held, opt, state)
    _check_alike(f"{name}.get_params after init", held, params)
    after = _traced(name, "update", _update, opt, state)
    _check_alike(f"the state of {name} after one update", after, state)


def _start(opt: Any, params: Any) -> Any:
    return opt.init(params, num_steps=_NUM_STEPS, key=key_of_seed(0))


def _held(opt: Any, state: Any) -> Any:
    return opt.get_params(state)


def _update(opt: Any, state: Any) -> Any:
    params = opt.get_params(state)
    extra = {"loss_fn": _loss} if "loss_fn" in opt.needs else {}
    value, grad = jax.value_and_grad(_loss)(params)
    return opt.update(state, grad, loss=value, key=key_of_seed(0), **extra)


def _loss(params: Any) -> jax.Array:
    squares = [jnp.sum((leaf - 1.0) ** 2) for leaf in jax.tree.leaves(params)]
    return sum(squares, jnp.zeros([], jnp.float32))


def _traced(
    name: str, method: str, function: Callable[..., Any], opt: Any, *args: Any
) -> Any:
    """Return the types of a function's result, of a traced optimizer."""
    leaves, structure = jax.tree.flatten(opt)
    is_number = [not (leaf is opt or callable(leaf)) for leaf in leaves]
    numbers = [leaf for leaf, yes in zip(leaves, is_number, strict=True) if yes]

    def call(numbers: list[Any], *args: Any) -> Any:
        given = iter(numbers)
        pairs = zip(leaves, is_number, strict=True)
        all_leaves = [next(given) if yes else leaf for leaf, yes in pairs]
        return function(jax.tree.unflatten(structure, all_leaves), *args)

    try:
        return jax.eval_shape(call, numbers, *args)
    except LoptError:
        raise
    except Exception as error:  # whatever a user's own optimizer raises
        raise LoptError(_why(name, method, error)) from error


def _why(name: str, method: str, error: Exception) -> str:
    where = _own_line(error)
    if isinstance(error, _NOT_TRACEABLE):
        return (
            f"{name}.{method} asks a traced number for its value{where}: an `if`, a "
            "`while`, float() or numpy on a hyper-parameter, a gradient or the state. "
            "One compiled program serves all values, so it must be written with "
            "jnp.where, jax.lax.cond or jax.numpy; or make the hyper-parameter a "
            "static_field, which has a program for each value."
        )
    if isinstance(error, TypeError) and "is not a valid JAX type" in str(error):
        return (
            f"{name}.{method} returns something that is no array{where}: "
            f"{_first_line(error)} A state is a pytree of arrays."
        )
    if isinstance(error, TypeError) and "missing" in str(error):
        return (
            f"{name}.{method} is not given all it asks for{where}: "
            f"{_first_line(error)}. What an optimizer needs besides gradients is "
            "declared by its `needs`, e.g. @optax_optimizer(needs=('loss',))."
        )
    return f"{name}.{method} fails{where}: {_first_line(error)}"


def _first_line(error: Exception) -> str:
    text = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _own_line(error: Exception) -> str:
    """Return the last line of the optimizer's own code, as `, file.py:3`, if any."""
    frames = traceback.extract_tb(error.__traceback__)
    for frame in reversed(frames):
        is_library = "site-packages" in frame.filename or "<" in frame.filename
        if not is_library and not frame.filename.startswith(_PACKAGE):
            return f", {frame.filename}:{frame.lineno} `{frame.line}`"
    return ""


def _check_arrays(name: str, state: Any) -> None:
    for path, leaf in jax.tree_util.tree_leaves_with_path(state):
        if not hasattr(leaf, "shape"):
            raise LoptError(
                f"the state of {name} holds {leaf!r} at "
                f"{jax.tree_util.keystr(path)}: a state is a pytree of arrays."
            )


def _check_alike(what: str, got: Any, want: Any) -> None:
    if jax.tree.structure(got) != jax.tree.structure(want):
        raise LoptError(
            f"{what} has another structure than before: {jax.tree.structure(got)}, "
            f"where {jax.tree.structure(want)} was. It must stay the same."
        )
    for (path, old), new in zip(
        jax.tree_util.tree_leaves_with_path(want), jax.tree.leaves(got), strict=True
    ):
        if (old.shape, old.dtype) != (new.shape, new.dtype):
            raise LoptError(
                f"{what} has {new.dtype}{list(new.shape)} at "
                f"{jax.tree_util.keystr(path)}, where {old.dtype}{list(old.shape)} "
                "was: types and shapes must stay the same. Cast it, e.g. by "
                "jnp.asarray(new, old.dtype)."
            )
