"""The middle of images: other data than whole ones, from the same files."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import jax
import numpy as np

from learned_optimization.errors import LoptError, check_at_least
from learned_optimization.tasks.datasets.base import ArrayData
from learned_optimization.tasks.datasets.image_data import ImageDatasets


@dataclass(frozen=True)
class CroppedImageDatasets(ImageDatasets):
    """`ImageDatasets` whose images lose a margin on all four sides.

    Attributes:
      margin: pixels cut off each side of an image of `image_size`.
    """

    margin: int = 1

    def __post_init__(self):
        super().__post_init__()
        check_at_least("margin", self.margin, 1)
        if self.cropped_size < 1:
            raise LoptError(
                f"a margin of {self.margin} leaves nothing of images of "
                f"{self.image_size}x{self.image_size}: it must be less than half of "
                "their size."
            )

    @property
    def cropped_size(self) -> int:
        """Height and width of what is left, in pixels."""
        return self.image_size - 2 * self.margin

    @property
    def abstract_batch(self) -> Mapping[str, jax.ShapeDtypeStruct]:
        """Shapes and dtypes of one batch; reads nothing."""
        batch = super().abstract_batch
        num, *_, channels = batch["image"].shape
        shape = (num, self.cropped_size, self.cropped_size, channels)
        return {**batch, "image": jax.ShapeDtypeStruct(shape, np.float32)}

    def load(self) -> ArrayData:
        """Return the whole data set, cropped once and cached."""
        return _cropped(super().load(), self.margin)


def fashion_mnist_middle(batch_size: int) -> CroppedImageDatasets:
    """Return the middle 6x6 pixels of Fashion-MNIST at 8x8, which is embedded."""
    return CroppedImageDatasets("fashion_mnist", batch_size, image_size=8)


@lru_cache(maxsize=4)
def _cropped(data: ArrayData, margin: int) -> ArrayData:
    inside = slice(margin, -margin)
    image = np.ascontiguousarray(data.arrays["image"][:, inside, inside])
    return dataclasses.replace(data, arrays={**data.arrays, "image": image})
