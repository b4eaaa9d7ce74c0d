"""Read text files: one document per line, or one JSON object per line.

Files `*.txt` hold one document per line; files `*.jsonl` one JSON object per line,
with the document under the key `text`. Either may be compressed (`.gz`).
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from learned_optimization.errors import DatasetShapeError
from learned_optimization.tasks.datasets.catalog import TextDataset
from learned_optimization.tasks.datasets.sources.base import TextSource

_ENDINGS = (".txt", ".jsonl", ".txt.gz", ".jsonl.gz")
_KEY = "text"
# A document; the longest articles have some megabytes.
_MOST_BYTES = 256 << 20
# What people keep next to data, and nobody trains on.
_ABOUT = ("readme", "license", "licence", "copying")


@dataclass(frozen=True)
class TextFile:
    """A file of documents, one per line; a `TextShard`.

    Attributes:
      path: the file; compressed if its name ends in `.gz`, JSON if it ends in
        `.jsonl` or `.jsonl.gz`, else plain text.
    """

    path: Path

    def documents(self) -> Iterator[str]:
        """Return the documents in the order of the file; empty ones are skipped.

        Raises:
          DatasetShapeError: naming the file and the line that is not UTF-8, or
            not JSON with a text.
        """
        is_json = self.path.name.removesuffix(".gz").endswith(".jsonl")
        opener = gzip.open if self.path.suffix == ".gz" else open
        number = 0
        try:
            with opener(self.path, "rb") as file:
                lines = iter(lambda: file.readline(_MOST_BYTES + 1), b"")
                for number, line in enumerate(lines, 1):
                    text = self._decode(number, line)
                    if is_json and text:
                        text = self._text_of_json(number, text)
                    if text and not text.isspace():
                        yield text
        except (OSError, EOFError, zlib.error) as error:
            raise DatasetShapeError(
                f"{self.path}: cannot be read after line {number}: {error}."
            ) from error

    def _decode(self, number: int, line: bytes) -> str:
        if len(line) > _MOST_BYTES:
            raise DatasetShapeError(
                f"{self.path}, line {number}: has more than {_MOST_BYTES:,} bytes. A "
                "line is one document: break them up."
            )
        try:
            # Editors of some systems put a mark in front of UTF-8.
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise DatasetShapeError(
                f"{self.path}, line {number}: not UTF-8 ({error.reason} at byte "
                f"{error.start} of the line). Convert the file to UTF-8, or get it "
                "again if it is damaged."
            ) from error
        return text.rstrip("\r\n")

    def _text_of_json(self, number: int, line: str) -> str:
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DatasetShapeError(
                f"{self.path}, line {number}: not JSON: {error}. Every line of a "
                f".jsonl file is one JSON object with the key {_KEY!r}."
            ) from error
        text = value.get(_KEY) if isinstance(value, dict) else None
        if not isinstance(text, str):
            raise DatasetShapeError(
                f"{self.path}, line {number}: expected a JSON object with a string "
                f"under the key {_KEY!r}, got {line[:60]!r}."
            )
        try:
            # JSON can spell halves of characters, which are no text.
            text.encode()
        except UnicodeEncodeError as error:
            raise DatasetShapeError(
                f"{self.path}, line {number}: the text holds half of a character "
                f"({error.reason} at character {error.start})."
            ) from error
        return text


def find(row: TextDataset, folder: Path) -> TextSource | None:
    """Return the text files of a folder, by name.

    Files whose names begin with `test` are the test part. Where some begin with
    `train`, those alone are the training part, else all that are left.

    Args:
      row: the data set they should hold; text files are alike for all.
      folder: where to look; not below it.

    Returns:
      The source, or None unless there is a training part.
    """
    del row
    found = {path.name: path for path in folder.glob("*") if _is_text_file(path)}
    # A file that is there compressed and not is the same documents twice.
    names = sorted(
        name
        for name in found
        if not (name.endswith(".gz") and name.removesuffix(".gz") in found)
    )
    test = [name for name in names if name.startswith("test")]
    others = [name for name in names if name not in test]
    train = [name for name in others if name.startswith("train")] or others
    if not train:
        return None
    return TextSource(
        tuple(TextFile(found[name]) for name in train),
        tuple(TextFile(found[name]) for name in test),
    )


def _is_text_file(path: Path) -> bool:
    name = path.name
    return (
        name.endswith(_ENDINGS)
        and not name.startswith(".")
        and not name.lower().startswith(_ABOUT)
        and path.is_file()
    )
