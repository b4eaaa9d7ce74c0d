"""Make the prepared form of a text data set: its tokens, end to end.

The prepared form is two arrays: `length`, the number of tokens of each document,
and `token`, the tokens of all documents one after another.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from learned_optimization.errors import LoptError
from learned_optimization.tasks.datasets import locations, prepared
from learned_optimization.tasks.datasets.catalog import TextDataset
from learned_optimization.tasks.datasets.sources.base import (
    TextShard,
    TextSource,
    fingerprint,
)
from learned_optimization.tasks.datasets.tokenizers import (
    VOCAB_SIZES,
    ByteTokenizer,
    SentencePieceTokenizer,
    Tokenizer,
    get_sentencepiece,
)

_DOCUMENTS_AT_ONCE = 1_000


def prepare_text(
    row: TextDataset,
    source: TextSource,
    vocabulary: str,
    on_progress: prepared.OnProgress = lambda done, total: None,
) -> Path:
    """Turn the documents of a data set into tokens and store them.

    A shard is a unit of the work: one is in memory at a time. Work that was
    interrupted goes on where it stopped; a sentencepiece model that was trained is
    used again.

    Args:
      row: the data set.
      source: its original files.
      vocabulary: `"bytes"` or `"32k"`.
      on_progress: called with the shards done and their number.

    Returns:
      The folder written; the sentencepiece model used is next to it.

    Raises:
      DatasetShapeError: naming the file and line that cannot be read.
      LoptError: if there is no such vocabulary, or no model for it.
    """
    tokenizer = _get_tokenizer(row, source, vocabulary)
    info: dict[str, Any] = {
        "data set": row.name,
        "licence": row.licence,
        "read from": str(source.files[0].parent),
        "shards": f"{len(source.train)} training, {len(source.test)} test",
        "tokenizer": tokenizer.name,
        "vocab_size": tokenizer.vocab_size,
    }
    settings = [row.name, vocabulary, f"{tokenizer.vocab_size} tokens"]
    if isinstance(tokenizer, SentencePieceTokenizer):
        info["sha256 of model"] = tokenizer.sha256
        settings.append(tokenizer.sha256)
    folder = locations.prepared_folder(row.name, vocabulary)
    prepared.write(
        folder,
        {
            "length": prepared.Field("int32"),
            "token": prepared.Field(tokenizer.dtype.name),
        },
        [
            *(_unit("train", shard, tokenizer) for shard in source.train),
            *(_unit("test", shard, tokenizer) for shard in source.test),
        ],
        fingerprint=fingerprint(source.files, *settings),
        info=info,
        on_progress=on_progress,
    )
    return folder


def _get_tokenizer(row: TextDataset, source: TextSource, vocabulary: str) -> Tokenizer:
    if vocabulary not in VOCAB_SIZES:
        raise LoptError(
            f"the vocabulary must be one of {', '.join(VOCAB_SIZES)}, got "
            f"{vocabulary!r}."
        )
    if vocabulary == "bytes":
        return ByteTokenizer()
    return get_sentencepiece(
        row.name,
        chain.from_iterable(shard.documents() for shard in source.train),
        fingerprint([shard.path for shard in source.train], row.name),
        locations.prepared_folder(row.name).parent,
    )


def _unit(part: prepared.Part, shard: TextShard, tokenizer: Tokenizer) -> prepared.Unit:
    def make() -> dict[str, np.ndarray]:
        pieces = [tokens for tokens in _encode(shard, tokenizer) if len(tokens)]
        return {
            "length": np.asarray([len(tokens) for tokens in pieces], np.int32),
            "token": np.concatenate([np.zeros(0, tokenizer.dtype), *pieces]),
        }

    return prepared.Unit(part, make)


def _encode(shard: TextShard, tokenizer: Tokenizer) -> Iterator[np.ndarray]:
    documents = shard.documents()
    while batch := list(islice(documents, _DOCUMENTS_AT_ONCE)):
        yield from tokenizer.encode_batch(batch)
