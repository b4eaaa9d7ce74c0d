"""Make the prepared form of a data set from its original files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from learned_optimization.errors import LoptError
from learned_optimization.tasks.datasets import locations, prepared
from learned_optimization.tasks.datasets.catalog import (
    Dataset,
    ImageDataset,
    get_dataset,
)
from learned_optimization.tasks.datasets.prepare_text import prepare_text
from learned_optimization.tasks.datasets.sources.base import (
    ImageSource,
    TextSource,
    fingerprint,
)
from learned_optimization.tasks.datasets.sources.parquet import CONFIGURATIONS

HUGGING_FACE = "huggingface"
VOCABULARIES = ("bytes", "32k")


def prepare(
    name: str,
    folder: str | Path | None = None,
    *,
    image_size: int | None = None,
    vocabulary: str | None = None,
    on_progress: prepared.OnProgress = lambda done, total: None,
) -> Path:
    """Read, check and store a data set in the form that trains fastest.

    Work that was interrupted goes on where it stopped; nothing is visible under its
    final name before it is complete.

    Args:
      name: a name of the catalog.
      folder: where the original files are; `"huggingface"` downloads them; None
        looks in all the places `lopt data where` knows.
      image_size: height and width wanted, for images of varying size.
      vocabulary: `"bytes"` or `"32k"`, for text.
      on_progress: called with the units of work done and their number.

    Returns:
      The folder written.

    Raises:
      LoptError: if there are no such files, they are not what they should be or
        an option does not fit the data set.
    """
    row = get_dataset(name)
    _check_options(row, image_size, vocabulary)
    variant = str(image_size) if image_size else vocabulary or ""
    source = _source(row, folder, variant)
    try:
        if isinstance(row, ImageDataset):
            assert not isinstance(source, TextSource)
            size = image_size or row.image_size
            assert size is not None
            return _prepare_images(row, source, size, on_progress)
        assert isinstance(source, TextSource)
        return prepare_text(row, source, vocabulary or VOCABULARIES[0], on_progress)
    except OSError as error:
        raise LoptError(
            f"cannot prepare {name} in {locations.data_dir()}: {error}. Set "
            "LOPT_DATA_DIR to a folder that can be written and has room."
        ) from error


def _check_options(
    row: Dataset, image_size: int | None, vocabulary: str | None
) -> None:
    if isinstance(row, ImageDataset):
        if vocabulary is not None:
            raise LoptError(f"{row.name} is a set of images: it has no --vocabulary.")
        if row.image_size is None and image_size is None:
            raise LoptError(
                f"the images of {row.name} vary in size: say which to make them, "
                "e.g. --size 64."
            )
        if row.image_size and image_size not in (None, row.image_size):
            raise LoptError(
                f"{row.name} is prepared at {row.image_size}x{row.image_size}, its own "
                f"size, got --size {image_size}: tasks resize it as they load it."
            )
        if image_size is not None and not 1 <= image_size <= 512:
            raise LoptError(f"--size must be 1 to 512 pixels, got {image_size}.")
        return
    if image_size is not None:
        raise LoptError(f"{row.name} is text: it has no --size.")
    if vocabulary is not None and vocabulary not in VOCABULARIES:
        raise LoptError(
            f"--vocabulary must be one of {', '.join(VOCABULARIES)}, got "
            f"{vocabulary!r}."
        )


def _source(
    row: Dataset, folder: str | Path | None, variant: str
) -> ImageSource | TextSource:
    if folder is None:
        source = locations.find_originals(row.name)
        if source is None:
            raise locations.not_found(row.name, variant)
        return source
    path = _download(row) if folder == HUGGING_FACE else Path(folder).expanduser()
    if not path.is_dir():
        raise LoptError(f"no such folder: {path}.")
    source = locations.find_original(row.name, path)
    if source is None:
        raise LoptError(
            f"{path} holds no files of {row.name} in a form known here "
            f"({', '.join(row.formats)}). {locations.how_to_get(row.name, variant)}"
        )
    if not source.files:
        raise LoptError(f"{path} holds no files of {row.name}: its folders are empty.")
    return source


def _download(row: Dataset) -> Path:
    """Return the parquet files of a data set, in the cache of Hugging Face's tools."""
    if row.hugging_face is None:
        raise LoptError(
            f"{row.name} has no copy on Hugging Face known here. "
            f"{locations.how_to_get(row.name)}"
        )
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise LoptError(
            "downloading from Hugging Face needs the package huggingface_hub: "
            "pip install 'optimizer-baselines[data]'."
        ) from error
    try:
        folder = CONFIGURATIONS.get(row.name)
        pattern = f"{folder}/*.parquet" if folder else "*.parquet"
        return Path(
            snapshot_download(
                row.hugging_face, repo_type="dataset", allow_patterns=pattern
            )
        )
    except Exception as error:
        reason = str(error).strip().partition("\n")[0]
        raise LoptError(
            f"cannot download {row.hugging_face} from Hugging Face: {reason}"
        ) from error


def _prepare_images(
    row: ImageDataset,
    source: ImageSource,
    image_size: int,
    on_progress: prepared.OnProgress,
) -> Path:
    folder = locations.prepared_folder(
        row.name, locations.image_variant(row, image_size)
    )
    fields = {
        "label": prepared.Field("int32"),
        "image": prepared.Field("uint8", (image_size, image_size, row.channels)),
    }

    def unit(part: prepared.Part, start: int, stop: int) -> prepared.Unit:
        def make() -> dict[str, np.ndarray]:
            images, labels = source.read(start, stop, image_size)
            return {"label": labels, "image": images}

        return prepared.Unit(part, make)

    def part_units(part: prepared.Part, start: int, stop: int) -> list[prepared.Unit]:
        step = source.unit_size
        return [unit(part, i, min(i + step, stop)) for i in range(start, stop, step)]

    num_train, num = source.num_train, source.num_train + source.num_test
    units = part_units("train", 0, num_train) + part_units("test", num_train, num)
    info: dict[str, Any] = {
        "data set": row.name,
        "licence": row.licence,
        "read from": str(source.files[0].parent),
        "format": type(source).__module__.rpartition(".")[2],
    }
    if row.image_size is None:
        info["resampling"] = row.resampling
    prepared.write(
        folder,
        fields,
        units,
        fingerprint=fingerprint(source.files, row.name, image_size),
        info=info,
        on_progress=on_progress,
    )
    return folder
