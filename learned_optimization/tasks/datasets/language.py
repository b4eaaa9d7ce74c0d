"""Text data sets under their published names, see `tasks/datasets/text.py`."""

from __future__ import annotations

from functools import cache
from typing import Any

from learned_optimization.configurable import configurable
from learned_optimization.errors import AbsentError
from learned_optimization.tasks.datasets import text
from learned_optimization.tasks.datasets.text import TextDatasets
from learned_optimization.tasks.datasets.tokenizers import ByteTokenizer

__all__ = [
    "get_bytes_vocab",
    "lm1b_32k_datasets",
    "lm1b_bytes_datasets",
    "wikipedia_en_32k_datasets",
    "wikipedia_en_bytes_datasets",
]

_configurable = configurable(__name__)


@_configurable
def lm1b_32k_datasets(batch_size: int, sequence_length: int) -> TextDatasets:
    """Return the One Billion Word Benchmark in 32,000 pieces (arXiv:1312.3005).

    Args:
      batch_size: examples per batch.
      sequence_length: targets per example.
    """
    return text.lm1b_32k(batch_size, sequence_length)


@_configurable
def lm1b_bytes_datasets(batch_size: int, sequence_length: int) -> TextDatasets:
    """Return the One Billion Word Benchmark, bytes; as `lm1b_32k_datasets`."""
    return text.lm1b_bytes(batch_size, sequence_length)


@_configurable
def wikipedia_en_32k_datasets(batch_size: int, sequence_length: int) -> TextDatasets:
    """Return the English Wikipedia, 32,000 pieces; as `lm1b_32k_datasets`."""
    return text.wikipedia_en_32k(batch_size, sequence_length)


@_configurable
def wikipedia_en_bytes_datasets(batch_size: int, sequence_length: int) -> TextDatasets:
    """Return the English Wikipedia, bytes; as `lm1b_32k_datasets`."""
    return text.wikipedia_en_bytes(batch_size, sequence_length)


@cache
def get_bytes_vocab() -> ByteTokenizer:
    """Return what turns text into tokens of bytes, and back."""
    return ByteTokenizer()


_ABSENT = ("get_32k_sentence_piece_vocab", "DEFAULT_SPM_PATH", "DEFAULT_EXTRA_IDS")


def __getattr__(name: str) -> Any:
    if name in _ABSENT:
        raise AbsentError(
            f"{__name__}.{name}",
            "names a model in another project's bucket. Give a sentencepiece model in "
            "LOPT_SENTENCEPIECE_MODEL to `lopt data prepare`, and read one with "
            "tasks.datasets.tokenizers.SentencePieceTokenizer",
        )
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
