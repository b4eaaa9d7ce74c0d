"""Where data sets are looked for, in order, and what to do when none is there."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from learned_optimization.errors import DataNotFoundError
from learned_optimization.tasks.datasets.catalog import (
    IMAGE_DATASETS,
    get_image_dataset,
)

PREPARED_SUFFIX = ".npz"

_PARTS = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


@dataclass(frozen=True)
class Description:
    """One data set as a person asks about it.

    Attributes:
      name: its name.
      embedded_sizes: image sizes that need no files.
      files: the files found on this machine, none if it is not at hand.
      licence: under what it may be used.
      how_to_get: what to do to have it.
    """

    name: str
    embedded_sizes: tuple[int, ...]
    files: tuple[Path, ...]
    licence: str
    how_to_get: str


def data_dir() -> Path:
    """Root of the data sets: `LOPT_DATA_DIR` or `~/.cache/lopt/data`."""
    root = Path(os.environ.get("LOPT_DATA_DIR") or "~/.cache/lopt/data")
    # Absolute, because paths found here are the key that loaded data is kept by.
    return root.expanduser().absolute()


def prepared_path(name: str) -> Path:
    """Where the prepared form of a data set is, or would be."""
    return data_dir() / name / f"{name}{PREPARED_SUFFIX}"


def original_folders(name: str) -> list[Path]:
    """Folders that may hold the original files of a data set, in order."""
    return [*get_image_dataset(name).known_folders, data_dir() / name]


def find_idx_files(folder: Path) -> list[Path] | None:
    """The four IDX files of a folder: images and labels, training then test.

    Either spelling (`train-images-idx3-ubyte`, `train-images.idx3-ubyte`) will
    do, compressed or not.

    Returns:
      The paths, or None unless all four are there.
    """
    found = []
    for part in _PARTS:
        spellings = (part, part.replace("-idx", ".idx"))
        candidates = [folder / (s + end) for s in spellings for end in ("", ".gz")]
        path = next((c for c in candidates if c.is_file()), None)
        if path is None:
            return None
        found.append(path)
    return found


def find(name: str) -> Path | list[Path] | None:
    """The prepared file of a data set, else its original files, else None."""
    if prepared_path(name).is_file():
        return prepared_path(name)
    found = (find_idx_files(folder) for folder in original_folders(name))
    return next((files for files in found if files), None)


def where(name: str) -> list[Path]:
    """The files of a data set on this machine.

    Raises:
      DataNotFoundError: saying where it was looked for and what to do.
    """
    found = find(name)
    if found is None:
        raise not_found(name)
    return found if isinstance(found, list) else [found]


def places(name: str) -> list[Path]:
    """Every place `find` looks, in order."""
    return [prepared_path(name), *original_folders(name)]


def how_to_get(name: str) -> str:
    """What a person can do to have the data set."""
    return (
        f"{get_image_dataset(name).how_to_get} into {data_dir() / name}, or run "
        f"`lopt data prepare {name} --from DIR` with the folder they are in."
    )


def describe() -> list[Description]:
    """Every data set, and whether and where it is at hand; reads no data."""
    return [
        Description(
            name=name,
            embedded_sizes=row.embedded_sizes,
            files=tuple(where(name)) if find(name) else (),
            licence=row.licence,
            how_to_get=how_to_get(name),
        )
        for name, row in IMAGE_DATASETS.items()
    ]


def not_found(name: str) -> DataNotFoundError:
    """The error that says what is missing, where it was looked for, what to do."""
    missing_root = ""
    if os.environ.get("LOPT_DATA_DIR") and not data_dir().is_dir():
        missing_root = f" LOPT_DATA_DIR is set to {data_dir()}, which does not exist."
    looked = ", ".join(str(place) for place in places(name))
    return DataNotFoundError(
        f"the data set {name} is not on this machine.{missing_root} "
        f"Looked in {looked}. {how_to_get(name)}"
    )
