"""The first layer of ViT and MLP-Mixer: a linear map of each patch of an image."""

from __future__ import annotations

import jax

from learned_optimization.errors import LoptError
from learned_optimization.tasks.models.products import dense


def embed_patches(images: jax.Array, patch_size: int, width: int) -> jax.Array:
    """Cut images into square patches and map each linearly.

    To be called in a compact module. The same as a convolution whose stride is
    its window.

    Args:
      images: float `[batch, height, width, channels]`.
      patch_size: height and width of a patch; divides those of the image.
      width: width of the result.

    Returns:
      Float `[batch, num_patches, width]`, patches row by row.

    Raises:
      LoptError: if the patches do not fill the image.
    """
    batch, rows, columns, channels = images.shape
    if rows % patch_size or columns % patch_size:
        raise LoptError(
            f"patches of {patch_size} pixels do not fill images of {rows}x{columns}: "
            "choose an image size that is a multiple of the patch size."
        )
    x = images.reshape(
        batch,
        rows // patch_size,
        patch_size,
        columns // patch_size,
        patch_size,
        channels,
    )
    x = x.swapaxes(2, 3).reshape(batch, -1, patch_size * patch_size * channels)
    return dense(width, name="embedding")(x)
