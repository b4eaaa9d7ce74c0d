"""What a learned optimizer is made of, and what a checkpoint of one holds."""

from __future__ import annotations

import dataclasses
import math
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax

from learned_optimization import filesystem
from learned_optimization.errors import MissingFileError
from learned_optimization.learned_optimizers import (
    checkpoints,
    config_gin,
    pretrained,
)
from learned_optimization.learned_optimizers.base import (
    LearnedOptimizer,
    MetaParams,
    digest_of,
)
from learned_optimization.learned_optimizers.fetched import read_fetched
from learned_optimization.learned_optimizers.opt_from_checkpoint import (
    lopt_and_theta,
)
from learned_optimization.learned_optimizers.published_checkpoints import known_bindings
from learned_optimization.learned_optimizers.safetensors_files import SUFFIX
from learned_optimization.prng import key_of_seed

__all__ = [
    "CheckpointDescription",
    "describe_checkpoint",
    "settings_of",
    "shapes_of",
    "size_of",
    "theta_shapes",
]

Shapes = Mapping[str, tuple[int, ...]]


def settings_of(lopt: Any) -> dict[str, Any]:
    """Return the settings of a learned optimizer by name, if it has any."""
    if not dataclasses.is_dataclass(lopt):
        return {}
    return {field.name: getattr(lopt, field.name) for field in dataclasses.fields(lopt)}


def theta_shapes(lopt: LearnedOptimizer) -> Shapes:
    """Return the shape of each array of theta, computing nothing."""
    return shapes_of(jax.eval_shape(lopt.init, key_of_seed(0)))


def shapes_of(theta: MetaParams) -> Shapes:
    """Return the shape of each array by its name, levels separated by `|`."""
    leaves = jax.tree_util.tree_leaves_with_path(theta)
    return {
        jax.tree_util.keystr(path, simple=True, separator="|"): tuple(leaf.shape)
        for path, leaf in leaves
    }


def size_of(shapes: Shapes) -> int:
    """Return the number of meta-parameters in arrays of some shapes."""
    return sum(math.prod(shape) for shape in shapes.values())


@dataclass(frozen=True)
class CheckpointDescription:
    """What a checkpoint holds.

    Attributes:
      path: the file.
      bytes: its size.
      name: class of its learned optimizer.
      named_by: what says that it is of that class.
      settings: the learned optimizer's settings by name.
      needs: what it needs besides gradients.
      shapes: shape of each array of theta by name.
      digest: of theta, as names of results have it.
      gen_id: name of the meta-training run; empty if the file does not say.
      step: its outer steps; 0 if the file does not say.
    """

    path: str
    bytes: int
    name: str
    named_by: str
    settings: Mapping[str, Any]
    needs: list[str]
    shapes: Shapes
    digest: str
    gen_id: str
    step: int

    @property
    def num_meta_parameters(self) -> int:
        """Numbers in theta."""
        return size_of(self.shapes)


def describe_checkpoint(path: str, architecture: str = "") -> CheckpointDescription:
    """Read a checkpoint and return what it holds.

    Args:
      path: its file, as of `opt_from_checkpoint`.
      architecture: class of its learned optimizer; empty where the file or the
        configuration beside it says so.

    Raises:
      LoptError: as of `opt_from_checkpoint`.
    """
    extra = config_gin.class_lines(architecture)
    lopt, theta = lopt_and_theta(path, extra_bindings=extra)
    file = pretrained.file_of(filesystem.without_scheme(path))
    is_torch = file.partition("?")[0].endswith(SUFFIX)
    held = None if is_torch else checkpoints.read(file)
    return CheckpointDescription(
        path=file,
        bytes=filesystem.info(file).size,
        name=type(lopt).__name__,
        named_by="the class given" if architecture else _named_by(file, is_torch),
        settings=settings_of(lopt),
        needs=sorted(lopt.needs),
        shapes=shapes_of(theta),
        digest=digest_of(theta),
        gen_id="" if held is None else held.gen_id,
        step=0 if held is None else held.step,
    )


def _named_by(file: str, is_torch: bool) -> str:
    beside = posixpath.join(posixpath.dirname(file), "config.gin")
    try:
        config = read_fetched(beside, config_gin.MAX_FILE_BYTES, config_gin.from_bytes)
    except MissingFileError:
        config = None
    if config is not None and config.of("run_train").get("lopt") is not None:
        return beside
    if known_bindings(file):
        return "the name of the published file"
    return "names as PyLO's" if is_torch else "the names and shapes of its arrays"
