"""What is known of each image data set without reading it: one row each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from learned_optimization.errors import UnknownNameError


@dataclass(frozen=True)
class ImageDataset:
    """One image data set.

    Attributes:
      name: its name.
      image_size: height and width as published, in pixels.
      channels: channels of a pixel.
      num_classes: number of labels.
      num_train: examples of the training part.
      num_test: examples of the test part.
      licence: under what it may be used.
      how_to_get: what a person does to have its original files; a sentence
        that goes on with `into FOLDER`.
      known_folders: folders that other packages put the original files in.
      embedded_sizes: image sizes that are part of the package.
    """

    name: str
    image_size: int
    channels: int
    num_classes: int
    num_train: int
    num_test: int
    licence: str
    how_to_get: str
    known_folders: tuple[Path, ...] = ()
    embedded_sizes: tuple[int, ...] = ()


IMAGE_DATASETS = {
    row.name: row
    for row in (
        ImageDataset(
            name="fashion_mnist",
            image_size=28,
            channels=1,
            num_classes=10,
            num_train=60_000,
            num_test=10_000,
            licence="MIT",
            how_to_get=(
                "Install Debian's package (`apt-get install dataset-fashion-mnist`), "
                "or put the four IDX files of "
                "https://github.com/zalandoresearch/fashion-mnist"
            ),
            known_folders=(Path("/usr/share/datasets/fashion-mnist"),),
            embedded_sizes=(8,),
        ),
        ImageDataset(
            name="mnist",
            image_size=28,
            channels=1,
            num_classes=10,
            num_train=60_000,
            num_test=10_000,
            licence="CC BY-SA 3.0",
            how_to_get=(
                "Put the four IDX files of MNIST (train-images-idx3-ubyte.gz, ...)"
            ),
        ),
    )
}


def get_image_dataset(name: str) -> ImageDataset:
    """The row of that name.

    Raises:
      UnknownNameError: with the nearest names, if there is none.
    """
    if name not in IMAGE_DATASETS:
        raise UnknownNameError("data set", name, IMAGE_DATASETS)
    return IMAGE_DATASETS[name]
