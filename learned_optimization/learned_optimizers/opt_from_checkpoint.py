"""An optimizer from a checkpoint: its class, its settings and its meta-parameters.

Class and settings are read from the `config.gin` beside the file, without gin; where
there is none, from `extra_bindings`; and where these name no class either, it is the
one learned optimizer whose arrays have the names and shapes of the file's.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from learned_optimization import filesystem
from learned_optimization.configurable import configurable
from learned_optimization.errors import LoptError, MissingFileError
from learned_optimization.learned_optimizers import (
    checkpoints,
    config_gin,
    pretrained,
)
from learned_optimization.learned_optimizers.array_trees import leaves_of
from learned_optimization.learned_optimizers.base import (
    LearnedOptimizer,
    MetaParams,
    Optimizer,
    all_learned_optimizers,
)
from learned_optimization.learned_optimizers.checkpoints import (
    MismatchError,
    ParameterCheckpoint,
)
from learned_optimization.learned_optimizers.config_gin import Bindings
from learned_optimization.learned_optimizers.fetched import read_fetched
from learned_optimization.learned_optimizers.published_checkpoints import known_bindings
from learned_optimization.learned_optimizers.safetensors_files import (
    SUFFIX,
    read_safetensors,
)
from learned_optimization.learned_optimizers.settings import make
from learned_optimization.prng import key_of_seed

__all__ = ["lopt_and_theta", "opt_from_checkpoint"]


@configurable(__name__)
def opt_from_checkpoint(
    checkpoint_path: str,
    config_path: str | None = None,
    extra_bindings: Sequence[str] = (),
    sha256: str | None = None,
) -> Optimizer:
    """Return the optimizer that a checkpoint of meta-parameters makes.

    Settings that neither `config.gin` nor `extra_bindings` give are as gin binds them,
    or the class's defaults. Files elsewhere (`gs://`, `s3://`, `hf://`, `https://`) are
    fetched once, see `checkpoints.read`.

    Args:
      checkpoint_path: the file: `params` of a published checkpoint, a bare theta, or
        PyLO's `.safetensors`. A local folder stands for `params` in it;
        `pretrained:NAME` is one of the package.
      config_path: its configuration; `config.gin` beside it if None, which need not be
        there.
      extra_bindings: lines as of a `config.gin`, which override it: literals of
        settings, `"HyperV2.param_inits = 256"`, and the class,
        `"run_train.lopt = @HyperV2()"`.
      sha256: digest that the bytes of the checkpoint must have, hexadecimal.

    Returns:
      The optimizer. It has the attributes `lopt`, the learned optimizer, and `theta`.

    Raises:
      LoptError: naming the file, if it cannot be read, must not be used, or is not of
        the class named; if the class is unknown, or no class is named and none or
        several fit.
    """
    lopt, theta = lopt_and_theta(checkpoint_path, config_path, extra_bindings, sha256)
    theta = jax.tree.map(jnp.asarray, theta)
    opt = lopt.opt_fn(theta)
    if not hasattr(opt, "lopt"):
        # Of one whose `opt_fn` makes another optimizer, as LearnableSGD makes SGD.
        object.__setattr__(opt, "lopt", lopt)
        object.__setattr__(opt, "theta", theta)
    return opt


def lopt_and_theta(
    checkpoint_path: str,
    config_path: str | None = None,
    extra_bindings: Sequence[str] = (),
    sha256: str | None = None,
) -> tuple[LearnedOptimizer, MetaParams]:
    """Return the learned optimizer and the meta-parameters of a checkpoint.

    Args:
      checkpoint_path: as of `opt_from_checkpoint`, and so are the others.
      config_path: its configuration.
      extra_bindings: lines that override it.
      sha256: digest of the checkpoint.

    Returns:
      The learned optimizer, and theta: numpy arrays, which are read-only.

    Raises:
      LoptError: as of `opt_from_checkpoint`.
    """
    path = _file_of(checkpoint_path)
    extra = config_gin.parse("\n".join(extra_bindings), "extra_bindings")
    given = config_gin.parse("\n".join(known_bindings(path)), "known settings")
    given = given + _config(path, config_path) + extra
    if path.partition("?")[0].endswith(SUFFIX):
        checkpoint, implied = read_safetensors(path, sha256)
        given = config_gin.parse("\n".join(implied), path) + given
    else:
        checkpoint = checkpoints.read(path, sha256)
    named = given.of("run_train").get("lopt")
    if named is None:
        return _only_one_that_fits(checkpoint, given, path)
    lopt = make(given.resolved(named), named, given, checkpoint)
    return lopt, _matched(lopt, checkpoint, path)


def _file_of(path: str) -> str:
    path = pretrained.file_of(filesystem.without_scheme(os.fspath(path)))
    if filesystem.is_local(path) and os.path.isdir(path):
        inside = posixpath.join(path, "params")
        if not os.path.isfile(inside):
            raise LoptError(
                f"{path} is a folder without a file `params`: name the checkpoint's "
                "file itself."
            )
        return inside
    return path


def _config(path: str, config_path: str | None) -> Bindings:
    beside = posixpath.join(posixpath.dirname(path), "config.gin")
    where = beside if config_path is None else os.fspath(config_path)
    try:
        return read_fetched(where, config_gin.MAX_FILE_BYTES, config_gin.from_bytes)
    except MissingFileError:
        if config_path is None:
            return Bindings()
        raise


def _matched(
    lopt: LearnedOptimizer, checkpoint: ParameterCheckpoint, path: str
) -> MetaParams:
    template = _template(lopt, path)
    return checkpoints.match(checkpoint.params, template, path, lopt.name)


def _template(lopt: LearnedOptimizer, path: str) -> MetaParams:
    """Return the shapes of a learned optimizer's meta-parameters."""
    try:
        return jax.eval_shape(lambda: lopt.init(key_of_seed(0)))
    except LoptError:
        raise
    # Whatever jax or the class says of settings that go with no arrays.
    except Exception as error:
        raise LoptError(
            f"the settings of {path} make no {lopt.name}: {type(error).__name__}: "
            f"{error}"
        ) from error


def _only_one_that_fits(
    checkpoint: ParameterCheckpoint, given: Bindings, path: str
) -> tuple[LearnedOptimizer, MetaParams]:
    fitting: list[tuple[LearnedOptimizer, MetaParams]] = []
    of_other_sizes: list[str] = []
    names = {path for path, _ in leaves_of(checkpoint.params)}
    known = all_learned_optimizers()
    for name in known:
        reference = config_gin.Reference(name, name, ())
        at = config_gin.Binding((), "run_train", "lopt", reference, path, 0)
        try:
            lopt = make(reference, at, given, checkpoint)
            template = _template(lopt, path)
        except LoptError:
            continue  # It cannot be made without settings, or not with these.
        try:
            matched = checkpoints.match(checkpoint.params, template)
        except MismatchError:
            if names == {leaf for leaf, _ in leaves_of(template)}:
                of_other_sizes.append(name)
            continue
        fitting.append((lopt, matched))
    if len(fitting) == 1:
        return fitting[0]
    raise LoptError(
        f"nothing says which learned optimizer {path} is of, and "
        f"{_how_many(fitting, of_other_sizes, list(known))}. Say it in a config.gin "
        "beside it, or in extra_bindings: "
        f'"run_train.lopt = @{_example(fitting, of_other_sizes)}()", and settings as '
        '"HyperV2.param_inits = 256".'
    )


def _example(fitting: list[Any], of_other_sizes: list[str]) -> str:
    names = [type(lopt).__name__ for lopt, _ in fitting] + of_other_sizes
    return names[0] if names else "HyperV2"


def _how_many(fitting: list[Any], of_other_sizes: list[str], known: list[str]) -> str:
    if fitting:
        names = [type(lopt).__name__ for lopt, _ in fitting]
        return f"several have its arrays: {', '.join(names)}"
    if of_other_sizes:
        return (
            f"its names are those of {', '.join(of_other_sizes)} with sizes that are "
            "not the defaults"
        )
    return f"none has its arrays: {', '.join(known)}"
