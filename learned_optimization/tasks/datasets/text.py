"""Text data sets as handles of batches: tokens, and the tokens that follow."""

from __future__ import annotations

import lzma
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args

import jax
import numpy as np

from learned_optimization import environment
from learned_optimization.errors import (
    DatasetShapeError,
    UnknownNameError,
    check_at_least,
)
from learned_optimization.tasks.datasets import embedded, locations, prepared
from learned_optimization.tasks.datasets.base import (
    ArrayData,
    Batch,
    Datasets,
    split_ranges,
)
from learned_optimization.tasks.datasets.catalog import TextDataset, get_text_dataset
from learned_optimization.tasks.datasets.text_splits import (
    shuffled_order,
    text_splits,
)
from learned_optimization.tasks.datasets.token_rows import (
    count_rows,
    rows_of_documents,
)
from learned_optimization.tasks.datasets.tokenizers import (
    FIRST_BYTE,
    TOKEN_DTYPES,
    VOCAB_SIZES,
    ByteTokenizer,
    Vocabulary,
)


class TokenData(ArrayData):
    """A text data set: one array `tokens`, integers `[num_examples, length + 1]`.

    Token 0 pads the end of a row.
    """

    def decode(self, batch: Batch) -> dict[str, Any]:
        """Return every token but the last, and the token that follows each.

        Args:
          batch: `tokens`, integers `[..., length + 1]`, numpy or jax.

        Returns:
          `obs` and `target`, int32 `[..., length]`.
        """
        tokens = batch["tokens"].astype(np.int32)
        return {"obs": tokens[..., :-1], "target": tokens[..., 1:]}


@dataclass(frozen=True)
class TextDatasets(Datasets):
    """The four splits of a text data set in one vocabulary, at one length.

    Batches are `{"obs": int32 [batch, length], "target": int32 [batch, length]}`
    where `target` is the token that follows; 0 is padding.

    Attributes:
      dataset: a name of `TEXT_DATASETS`.
      batch_size: examples per batch.
      sequence_length: targets per example.
      vocabulary: `"bytes"` (259 tokens) or `"32k"` (32,100 tokens).
    """

    dataset: str
    batch_size: int
    sequence_length: int
    vocabulary: Vocabulary

    def __post_init__(self):
        check_at_least("batch_size", self.batch_size, 1)
        check_at_least("sequence_length", self.sequence_length, 1)
        if self.vocabulary not in VOCAB_SIZES:
            raise UnknownNameError(
                "vocabulary", str(self.vocabulary), get_args(Vocabulary)
            )

    @property
    def name(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The data set and its vocabulary, e.g. `lm1b_bytes`."""
        return f"{self.dataset}_{self.vocabulary}"

    @property
    def is_synthetic(self) -> bool:
        """Whether `LOPT_SYNTHETIC_DATA=1` asks for made-up tokens."""
        return environment.flag("LOPT_SYNTHETIC_DATA")

    @property
    def extra_info(self) -> Mapping[str, Any]:
        """`vocab_size`."""
        return {"vocab_size": VOCAB_SIZES[self.vocabulary]}

    @property
    def abstract_batch(self) -> Mapping[str, jax.ShapeDtypeStruct]:
        """Shapes and dtypes of one batch; reads nothing."""
        tokens = jax.ShapeDtypeStruct((self.batch_size, self.sequence_length), np.int32)
        return {"obs": tokens, "target": tokens}

    def is_available(self) -> bool:
        """Return whether `load` would find the data; looks at names of files only."""
        return (
            self.is_synthetic or self._is_embedded or prepared.is_prepared(self._folder)
        )

    def load(self) -> TokenData:
        """Return the whole data set, loaded once and cached; mapped where it is large.

        Raises:
          DataNotFoundError: saying where it was looked for and what to do.
          DatasetShapeError: if the files do not hold what they should.
        """
        row = get_text_dataset(self.dataset)
        if self.is_synthetic:
            return _load_synthetic(self.vocabulary, self.sequence_length)
        if self._is_embedded:
            return _load_embedded(row, self.sequence_length)
        if not prepared.is_prepared(self._folder):
            raise locations.not_found(self.dataset, self.vocabulary)
        changed = (self._folder / prepared.MANIFEST).stat().st_mtime_ns
        return _load_prepared(
            row, self._folder, changed, self.vocabulary, self.sequence_length
        )

    @property
    def _folder(self) -> Path:
        return locations.prepared_folder(self.dataset, self.vocabulary)

    @property
    def _is_embedded(self) -> bool:
        return get_text_dataset(self.dataset).embedded and self.vocabulary == "bytes"


def lm1b_bytes(batch_size: int, sequence_length: int) -> TextDatasets:
    """Return the bytes of the One Billion Word Benchmark (Chelba et al. 2013)."""
    return TextDatasets("lm1b", batch_size, sequence_length, "bytes")


def lm1b_32k(batch_size: int, sequence_length: int) -> TextDatasets:
    """Return the One Billion Word Benchmark in 32,000 pieces (arXiv:1312.3005)."""
    return TextDatasets("lm1b", batch_size, sequence_length, "32k")


def wikipedia_en_bytes(batch_size: int, sequence_length: int) -> TextDatasets:
    """Return beginnings of the articles of the English Wikipedia, bytes."""
    return TextDatasets("wikipedia", batch_size, sequence_length, "bytes")


def wikipedia_en_32k(batch_size: int, sequence_length: int) -> TextDatasets:
    """Return beginnings of the articles of the English Wikipedia, 32,000 pieces."""
    return TextDatasets("wikipedia", batch_size, sequence_length, "32k")


def kjv_bytes(batch_size: int, sequence_length: int) -> TextDatasets:
    """Return the King James Bible (1611/1769), bytes; part of the package."""
    return TextDatasets("kjv", batch_size, sequence_length, "bytes")


def embedded_documents(name: str) -> tuple[list[str], list[str]]:
    """Return the documents of an embedded text, training part and test part.

    The file holds one document per line, its lines separated by tabs; an empty
    line stands between the two parts. See `scripts/make_embedded_kjv.py`.
    """
    content = (files(embedded) / f"{name}.txt.xz").read_bytes()
    train, _, test = lzma.decompress(content).decode().partition("\n\n")
    return _documents(train), _documents(test)


def _documents(lines: str) -> list[str]:
    return [line.replace("\t", "\n") for line in lines.split("\n") if line]


@lru_cache(maxsize=4)
def _load_embedded(row: TextDataset, sequence_length: int) -> TokenData:
    train, test = embedded_documents(row.name)
    documents = ByteTokenizer().encode_batch([*train, *test])
    return _as_token_data(
        row,
        np.concatenate(documents),
        np.asarray([len(tokens) for tokens in documents]),
        len(train),
        sequence_length,
        "the embedded text",
    )


@lru_cache(maxsize=4)
def _load_prepared(
    row: TextDataset,
    folder: Path,
    changed: int,
    vocabulary: Vocabulary,
    sequence_length: int,
) -> TokenData:
    del changed  # a data set prepared again is another one
    found = prepared.read(folder)
    tokens, lengths = found.arrays.get("token"), found.arrays.get("length")
    prepare_again = f"Run `{locations.prepare_command(row.name, vocabulary)}` again."
    wanted, got = VOCAB_SIZES[vocabulary], found.info.get("vocab_size")
    if got != wanted:
        raise DatasetShapeError(
            f"{folder}: its tokens are of a vocabulary of {got}, expected {wanted} "
            f"({vocabulary}), as of this version. {prepare_again}"
        )
    if (
        tokens is None
        or lengths is None
        or tokens.dtype != TOKEN_DTYPES[vocabulary]
        or int(lengths.sum(dtype=np.int64)) != len(tokens)
    ):
        raise DatasetShapeError(
            f"{folder}: does not hold documents of {row.name} as {vocabulary}: their "
            f"lengths, and as many tokens. {prepare_again}"
        )
    return _as_token_data(
        row, tokens, lengths, found.num_train, sequence_length, str(folder)
    )


@lru_cache(maxsize=4)
def _load_synthetic(vocabulary: Vocabulary, sequence_length: int) -> TokenData:
    """Make text in which one token mostly follows another: it can be learned."""
    rng = np.random.default_rng(0)
    num_train, num_test, num_tokens = 2_000, 500, 32
    num, width = num_train + num_test, sequence_length + 1
    follower = rng.permutation(num_tokens)
    noise = rng.integers(0, num_tokens, (num, width))
    is_noise = rng.random((num, width)) < 0.1
    tokens = noise.copy()
    for i in range(1, width):
        followers = follower[tokens[:, i - 1]]
        tokens[:, i] = np.where(is_noise[:, i], noise[:, i], followers)
    # A fifth of the rows end early; none has fewer than two tokens.
    lengths = np.where(rng.random(num) < 0.2, rng.integers(2, width + 1, num), width)
    inside = np.arange(width) < lengths[:, None]
    tokens = np.where(inside, tokens + FIRST_BYTE, 0)
    return TokenData(
        {"tokens": tokens.astype(TOKEN_DTYPES[vocabulary])},
        split_ranges(num_train, num_test),
    )


def _as_token_data(
    row: TextDataset,
    tokens: np.ndarray,
    lengths: np.ndarray,
    num_train_documents: int,
    sequence_length: int,
    where: str,
) -> TokenData:
    width = sequence_length + 1
    rows = rows_of_documents(tokens, lengths, width, row.examples)
    num_train = count_rows(lengths[:num_train_documents], width, row.examples)
    num_test = len(rows) - num_train
    if row.shuffle:
        rows = rows.in_order(shuffled_order(num_train, num_test))
    splits = text_splits(row, num_train, num_test)
    for split, (start, stop) in splits.items():
        if start == stop:
            raise DatasetShapeError(
                f"{where}: gives {num_train} training and {num_test} test examples "
                f"of {sequence_length} tokens, none of them for {split!r}. Use a "
                "shorter sequence or prepare more text."
            )
    in_memory = rows.nbytes <= prepared.MAX_BYTES_IN_MEMORY
    return TokenData({"tokens": rows.to_array() if in_memory else rows}, splits)
