"""What is known of each data set without reading it: one row each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from learned_optimization.errors import NotRegisteredError, UnknownNameError


@dataclass(frozen=True)
class ImageDataset:
    """One image data set.

    Attributes:
      name: its name.
      channels: channels of a pixel.
      num_classes: number of labels.
      num_train: examples of the training part.
      num_test: examples of the test part.
      licence: under what it may be used.
      how_to_get: what a person does to get its original files; a sentence
        that goes on with `into FOLDER`.
      formats: the formats its files are looked for in, names of modules of
        `tasks/datasets/sources`, in order.
      image_size: height and width as published, in pixels; None where they
        vary, so that a size is chosen when the data set is prepared.
      resampling: how images of varying size become square: `"bilinear"`
        (without antialiasing) or `"box"` (the mean of the pixels covered).
      hugging_face: the repository of Hugging Face that holds it as parquet.
      known_folders: folders that other packages put the original files in.
      embedded_sizes: image sizes that are part of the package.
    """

    name: str
    channels: int
    num_classes: int
    num_train: int
    num_test: int
    licence: str
    how_to_get: str
    formats: tuple[str, ...]
    image_size: int | None = None
    resampling: Literal["bilinear", "box"] = "bilinear"
    hugging_face: str | None = None
    known_folders: tuple[Path, ...] = ()
    embedded_sizes: tuple[int, ...] = ()


@dataclass(frozen=True)
class TextDataset:
    """One text data set.

    Attributes:
      name: its name.
      licence: under what it may be used.
      how_to_get: what a person does to get its original files; a sentence
        that goes on with `into FOLDER`.
      formats: as in `ImageDataset`.
      examples: `"documents"` where an example is the beginning of a document,
        `"windows"` where documents are cut into examples from end to end.
      splits: `"hundredths"` where one hundredth of the training part each is
        `inner_valid`, `outer_valid` and, where there is no test part, `test`;
        `"tenths"` where it is one tenth.
      shuffle: whether the documents of the training part are put in an order
        drawn once, because a hundredth of them as they lie would be alike.
      hugging_face: the repository of Hugging Face that holds it as parquet.
      known_folders: folders that other packages put the original files in.
      embedded: whether its bytes are part of the package.
    """

    name: str
    licence: str
    how_to_get: str
    formats: tuple[str, ...]
    examples: Literal["documents", "windows"] = "documents"
    splits: Literal["hundredths", "tenths"] = "hundredths"
    shuffle: bool = False
    hugging_face: str | None = None
    known_folders: tuple[Path, ...] = ()
    embedded: bool = False


Dataset = ImageDataset | TextDataset

IMAGE_DATASETS: dict[str, ImageDataset] = {
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
            formats=("idx", "parquet"),
            hugging_face="zalando-datasets/fashion_mnist",
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
            formats=("idx", "parquet"),
            hugging_face="ylecun/mnist",
        ),
        ImageDataset(
            name="cifar10",
            image_size=32,
            channels=3,
            num_classes=10,
            num_train=50_000,
            num_test=10_000,
            licence="none stated",
            how_to_get=(
                "Put the binary version of https://www.cs.toronto.edu/~kriz/cifar.html "
                "(cifar-10-binary.tar.gz, unpacked or not)"
            ),
            formats=("cifar", "parquet"),
            hugging_face="uoft-cs/cifar10",
        ),
        ImageDataset(
            name="cifar100",
            image_size=32,
            channels=3,
            num_classes=100,
            num_train=50_000,
            num_test=10_000,
            licence="none stated",
            how_to_get=(
                "Put the binary version of https://www.cs.toronto.edu/~kriz/cifar.html "
                "(cifar-100-binary.tar.gz, unpacked or not)"
            ),
            formats=("cifar", "parquet"),
            hugging_face="uoft-cs/cifar100",
        ),
        ImageDataset(
            name="svhn_cropped",
            image_size=32,
            channels=3,
            num_classes=10,
            num_train=73_257,
            num_test=26_032,
            licence="non-commercial use only",
            how_to_get=(
                "Put train_32x32.mat and test_32x32.mat of "
                "http://ufldl.stanford.edu/housenumbers"
            ),
            formats=("svhn", "parquet"),
            hugging_face="ufldl-stanford/svhn",
        ),
        ImageDataset(
            name="food101",
            channels=3,
            num_classes=101,
            num_train=75_750,
            num_test=25_250,
            licence="research use; the images' own licences vary",
            how_to_get=(
                "Put the unpacked archive food-101.tar.gz of "
                "https://data.vision.ee.ethz.ch/cvl/datasets_extra/food-101"
            ),
            formats=("food101", "parquet"),
            hugging_face="ethz/food101",
        ),
        ImageDataset(
            name="imagenet",
            channels=3,
            num_classes=1_000,
            num_train=1_281_167,
            num_test=50_000,
            licence="non-commercial research use, by agreement with image-net.org",
            how_to_get=(
                "Put a copy of ILSVRC2012 with folders train/CLASS and val/CLASS, the "
                "Hugging Face copy (data/*.parquet), or the downsampled copy of "
                "https://image-net.org (train_data_batch_1.npz, ..., val_data.npz)"
            ),
            formats=("downsampled", "image_folder", "parquet"),
            resampling="box",
            hugging_face="ILSVRC/imagenet-1k",
        ),
    )
}

TEXT_DATASETS: dict[str, TextDataset] = {
    row.name: row
    for row in (
        TextDataset(
            name="kjv",
            licence="public domain (King James Version, 1611/1769)",
            how_to_get=(
                "Put text files, one document per line (the bytes are part of the "
                "package; only a vocabulary of pieces needs them),"
            ),
            formats=("text_files",),
            examples="windows",
            # One hundredth of so small a text would be eleven chapters: too few to
            # choose a configuration by.
            splits="tenths",
            embedded=True,
        ),
        TextDataset(
            name="lm1b",
            licence="none stated",
            how_to_get=(
                "Put the unpacked archive of "
                "https://www.statmt.org/lm-benchmark "
                "(1-billion-word-language-modeling-benchmark-r13output)"
            ),
            formats=("lm1b", "parquet", "text_files"),
        ),
        TextDataset(
            name="wikipedia",
            licence="CC BY-SA 4.0 and GFDL",
            how_to_get=(
                "Put the parquet files of the English part of "
                "https://huggingface.co/datasets/wikimedia/wikipedia (20231101.en), or "
                "text files, one document per line,"
            ),
            formats=("parquet", "text_files"),
            # They lie by age.
            shuffle=True,
            hugging_face="wikimedia/wikipedia",
        ),
    )
}


def all_datasets() -> dict[str, Dataset]:
    """Return every data set by name, images first."""
    return {**IMAGE_DATASETS, **TEXT_DATASETS}


def get_dataset(name: str) -> Dataset:
    """Return the row of that name, images or text.

    Raises:
      UnknownNameError: with the nearest names, if there is none.
    """
    known = all_datasets()
    if name not in known:
        raise NotRegisteredError("data set", name, known)
    return known[name]


def get_image_dataset(name: str) -> ImageDataset:
    """Return the image data set of that name.

    Raises:
      UnknownNameError: with the nearest names, if there is none.
    """
    if name not in IMAGE_DATASETS:
        raise UnknownNameError("image data set", name, IMAGE_DATASETS)
    return IMAGE_DATASETS[name]


def get_text_dataset(name: str) -> TextDataset:
    """Return the text data set of that name.

    Raises:
      UnknownNameError: with the nearest names, if there is none.
    """
    if name not in TEXT_DATASETS:
        raise UnknownNameError("text data set", name, TEXT_DATASETS)
    return TEXT_DATASETS[name]
