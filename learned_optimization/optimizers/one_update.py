"""Tries an optimizer for one update, without computing anything.

Whoever defines an optimizer hears at once what no training could use: a state that is
not the same kind of thing after an update, or Python that asks a traced number for its
value.
"""

from __future__ import annotations

import dataclasses
import functools
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
from learned_optimization.text import named

# Of a run long enough for any warm-up.
_NUM_STEPS = 10_000
# A scalar, a vector and a matrix, as models have.
_SHAPES = {"scale": (), "bias": (3,), "weight": (2, 3)}
# Whatever the parameters are, they do not mend what is not there.
_OF_ANY_PARAMS = (AttributeError, ImportError, NameError, NotImplementedError)
_NOT_TRACEABLE = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
)
_CHECKED: set[tuple[Any, ...]] = set()
_PACKAGE = os.path.dirname(learned_optimization.__file__)


def check_definition(cls: Any) -> None:
    """Check a class of one's own by an update with its default hyper-parameters.

    Where it has none, or refuses them, its first instance that is trained is checked.

    Args:
      cls: a dataclass, the class of an optimizer.

    What may only be wrong for the parameters it is tried on is not refused: that is
    seen where the optimizer is given to a task.

    Raises:
      LoptError: as `check_one_update`.
    """
    absent = dataclasses.MISSING
    if (
        not cls.is_traceable
        or is_packaged(cls.__module__)
        or any(
            field.default is absent and field.default_factory is absent
            for field in dataclasses.fields(cls)
            if field.init
        )
    ):
        return
    try:
        opt = cls()
    except LoptError:
        return
    params = {k: jax.ShapeDtypeStruct(s, jnp.float32) for k, s in _SHAPES.items()}
    with suppress(_MayBeOfParamsError):
        check_one_update(opt, params)


def check_one_update_once(opt: Any, task: Any, num_steps: int) -> None:
    """Check an optimizer of one's own on a task, once for each program it may make.

    Those of the package are known to step, but for an `OptaxOptimizer`, which holds a
    transformation of anyone's.

    Args:
      opt: the optimizer.
      task: the task it is to train.
      num_steps: length of the run.

    Raises:
      LoptError: as `check_one_update`.
    """
    if not opt.is_traceable:
        return
    leaves, structure = jax.tree.flatten(opt)
    holds_anything = any(leaf is opt for leaf in leaves)
    if is_packaged(opt.defined_by.__module__) and not holds_anything:
        return
    program = (opt.defined_by, structure, task.name, num_steps)
    try:
        is_known = not holds_anything and program in _CHECKED
    except TypeError:
        # A static field that has no hash.
        is_known = False
    if is_known:
        return
    try:
        params, _ = jax.eval_shape(task.init_with_state, key_of_seed(0))
    except Exception:
        # What is wrong with a task is said where it is trained.
        return
    # Whatever else fails is that optimizer's failure, and takes no other from a sweep.
    with suppress(_MayBeOfParamsError):
        check_one_update(opt, params, num_steps)
    with suppress(TypeError):
        _CHECKED.add(program)


class _MayBeOfParamsError(LoptError):
    """An optimizer fails, and might not on other parameters."""


def check_one_update(opt: Any, params: Any, num_steps: int = _NUM_STEPS) -> None:
    """Start an optimizer on some parameters and update it once, traced only.

    Its hyper-parameters are traced as they are where one program serves many settings.

    Args:
      opt: the optimizer.
      params: shapes and types of the parameters.
      num_steps: length of the run.

    Raises:
      LoptError: naming the optimizer, what is wrong, and the line where it is.
    """
    name = opt.defined_by.__name__
    start = functools.partial(_start, num_steps=num_steps)
    state = _traced(name, "init", start, opt, params)
    _check_arrays(name, state)
    held = _traced(name, "get_params", _held, opt, state)
    _check_alike(f"{name}.get_params after init", held, params)
    after = _traced(name, "update", _update, opt, state)
    _check_alike(f"the state of {name} after one update", after, state)


def _start(opt: Any, params: Any, num_steps: int) -> Any:
    return opt.init(params, num_steps=num_steps, key=key_of_seed(0))


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
        raise _why(name, method, error) from error


def _why(name: str, method: str, error: Exception) -> LoptError:
    where = _own_line(error)
    if isinstance(error, _NOT_TRACEABLE):
        return LoptError(
            f"{name}.{method} asks a traced number for its value{where}: an `if`, a "
            "`while`, float() or numpy on a hyper-parameter, a gradient or the state. "
            "One compiled program serves all values, so it must be written with "
            "jnp.where, jax.lax.cond or jax.numpy; or make the hyper-parameter a "
            "static_field, which has a program for each value."
        )
    if isinstance(error, TypeError) and "is not a valid JAX type" in str(error):
        return LoptError(
            f"{name}.{method} returns something that is no array{where}: "
            f"{_first_line(error)} A state is a pytree of arrays."
        )
    if isinstance(error, TypeError) and "missing" in str(error):
        return LoptError(
            f"{name}.{method} is not given all it asks for{where}: "
            f"{_first_line(error)}. What an optimizer needs besides gradients is "
            "declared by its `needs`, e.g. @optax_optimizer(needs=('loss',))."
        )
    kind = LoptError if isinstance(error, _OF_ANY_PARAMS) else _MayBeOfParamsError
    return kind(f"{name}.{method} fails{where}: {_first_line(error)}")


def _first_line(error: Exception) -> str:
    return named(error).partition("\n")[0]


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
