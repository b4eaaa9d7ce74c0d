"""Where data sets are looked for, in order, and what to do when none is there."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from learned_optimization import environment
from learned_optimization.errors import DataNotFoundError
from learned_optimization.tasks.datasets import prepared
from learned_optimization.tasks.datasets.catalog import (
    Dataset,
    ImageDataset,
    TextDataset,
    all_datasets,
    get_dataset,
)
from learned_optimization.tasks.datasets.sources.base import ImageSource, TextSource


@dataclass(frozen=True)
class Description:
    """One data set as a person asks about it.

    Attributes:
      name: its name.
      embedded: what of it needs no files, e.g. `8x8`.
      places: prepared folders and original files found on this machine, none if
        it is not available.
      licence: under what it may be used.
      how_to_get: what to do to get it.
    """

    name: str
    embedded: tuple[str, ...]
    places: tuple[Path, ...]
    licence: str
    how_to_get: str


def data_dir() -> Path:
    """Return the root of the data sets: `LOPT_DATA_DIR` or `~/.cache/lopt/data`.

    Raises:
      ResultError: if that is no name of a folder of this machine.
    """
    root = Path(environment.folder("LOPT_DATA_DIR", "~/.cache/lopt/data"))
    # Absolute, because paths found here are the key that loaded data is kept by.
    return root.absolute()


def prepared_folder(name: str, variant: str = "") -> Path:
    """Return where the prepared form of a data set is, or would be.

    Args:
      name: the data set.
      variant: tells the forms of one data set apart: an image size where the
        originals have none, or a vocabulary.
    """
    return data_dir() / name / ("prepared" + (f"-{variant}" if variant else ""))


def image_variant(row: ImageDataset, image_size: int) -> str:
    """Return the variant of an image data set prepared for images of some size."""
    return "" if row.image_size else str(image_size)


def original_folders(name: str) -> list[Path]:
    """Return folders that may hold the original files of a data set, in order."""
    row = get_dataset(name)
    return [*row.known_folders, data_dir() / name, *_hugging_face_folders(row)]


def find_original(name: str, folder: Path) -> ImageSource | TextSource | None:
    """Return the original files of a data set in one folder, in the first format found.

    Looks at names only.
    """
    row = get_dataset(name)
    package = "learned_optimization.tasks.datasets.sources"
    for name_of_format in row.formats:
        source = import_module(f"{package}.{name_of_format}").find(row, folder)
        if source is not None:
            return source
    return None


def find_originals(name: str) -> ImageSource | TextSource | None:
    """Return the original files of a data set in any of `original_folders`."""
    found = _first_original(name)
    return found[1] if found else None


def find_prepared(name: str) -> list[Path]:
    """Return every prepared form of a data set on this machine."""
    folders = (data_dir() / name).glob("prepared*")
    return sorted(
        folder
        for folder in folders
        if prepared.is_prepared(folder) and not prepared.is_partial(folder)
    )


def where(name: str) -> list[Path]:
    """Return prepared forms of a data set, else its original files.

    Raises:
      DataNotFoundError: saying where it was looked for and what to do.
    """
    places = _places(name)
    if not places:
        raise not_found(name)
    return places


def how_to_get(name: str, variant: str = "") -> str:
    """Return what a person can do to get the data set.

    Args:
      name: the data set.
      variant: the prepared form wanted.
    """
    row = get_dataset(name)
    command = prepare_command(name, variant)
    folder = data_dir() / name
    by_hand = row.how_to_get
    if row.hugging_face is not None:
        by_hand = f"{by_hand[0].lower()}{by_hand[1:]}"
        by_hand = (
            f"Run `{command} --from huggingface`, which downloads it; or {by_hand}"
        )
    if isinstance(row, ImageDataset) and row.image_size:
        then = f"or run `{command} --from DIR` with the folder they are in."
        return f"{by_hand} into {folder}, {then}"
    then = f"and run `{command}`, or run that with `--from DIR` if they are elsewhere."
    return f"{by_hand} into {folder} {then}"


def prepare_command(name: str, variant: str = "") -> str:
    """Return the command that prepares a data set."""
    row = get_dataset(name)
    option = ""
    if isinstance(row, TextDataset):
        option = f" --vocabulary {variant or 'bytes'}"
    elif not row.image_size:
        option = f" --size {variant or 64}"
    return f"lopt data prepare {name}{option}"


def describe() -> list[Description]:
    """Return every data set, and whether and where it is available; reads no data."""
    return [
        Description(
            name=name,
            embedded=_embedded(row),
            places=tuple(_places(name)),
            licence=row.licence,
            how_to_get=how_to_get(name),
        )
        for name, row in all_datasets().items()
    ]


def not_found(name: str, variant: str = "") -> DataNotFoundError:
    """Return the error that says what is missing, where it was looked for, what to do.

    Args:
      name: the data set.
      variant: the prepared form that is missing.
    """
    what = f"{name} ({variant})" if variant else name
    command = prepare_command(name, variant)
    if found := _first_original(name):
        return DataNotFoundError(
            f"the data set {what} is on this machine as original files in {found[0]}, "
            f"which are too slow to train on: run `{command}` once."
        )
    missing_root = ""
    if os.environ.get("LOPT_DATA_DIR") and not data_dir().is_dir():
        missing_root = f" LOPT_DATA_DIR is set to {data_dir()}, which does not exist."
    looked = ", ".join(
        str(place)
        for place in (prepared_folder(name, variant), *original_folders(name))
    )
    return DataNotFoundError(
        f"the data set {what} is not on this machine.{missing_root} "
        f"Looked in {looked}. {how_to_get(name, variant)}"
    )


def _places(name: str) -> list[Path]:
    if found := find_prepared(name):
        return found
    found = _first_original(name)
    if found is None:
        return []
    folder, source = found
    # A folder says more than a million images, and they need not be listed.
    is_direct = not isinstance(source, TextSource) and source.is_direct
    return list(source.files) if is_direct else [folder]


def _first_original(name: str) -> tuple[Path, ImageSource | TextSource] | None:
    """Return the first folder that holds original files, and these."""
    for folder in original_folders(name):
        if (source := find_original(name, folder)) is not None:
            return folder, source
    return None


def _embedded(row: Dataset) -> tuple[str, ...]:
    if isinstance(row, TextDataset):
        return ("bytes",) if row.embedded else ()
    return tuple(f"{size}x{size}" for size in row.embedded_sizes)


def _hugging_face_folders(row: Dataset) -> list[Path]:
    """Return snapshots of the data set in the cache that Hugging Face's tools keep."""
    if row.hugging_face is None:
        return []
    home = Path(os.environ.get("HF_HOME") or "~/.cache/huggingface").expanduser()
    hub = Path(os.environ.get("HF_HUB_CACHE") or home / "hub")
    repository = "datasets--" + row.hugging_face.replace("/", "--")
    return sorted((hub / repository / "snapshots").glob("*"), reverse=True)
