"""Recurrent networks that model text."""

from __future__ import annotations

from dataclasses import dataclass

from learned_optimization.tasks.datasets.text import (
    kjv_bytes,
    lm1b_32k,
    lm1b_bytes,
    wikipedia_en_32k,
    wikipedia_en_bytes,
)
from learned_optimization.tasks.models.language import LanguageModelTask
from learned_optimization.tasks.models.rnn import CellName, RNNLanguageModel
from learned_optimization.tasks.registry import fixed_task, own_fixed_task


@dataclass(frozen=True)
class RNNLanguageModelTask(LanguageModelTask):
    """Prediction of the next token by a recurrent network.

    Attributes:
      datasets: batches of tokens.
      cell: `"VanillaRNN"`, `"IRNN"`, `"LSTM"` or `"GRU"`.
      hidden: width of the cell.
      embedding: width of a token's embedding.
    """

    cell: CellName
    hidden: int
    embedding: int

    @property
    def model(self) -> RNNLanguageModel:
        """Maps tokens `[batch, length]` to logits `[batch, length, vocab_size]`."""
        return RNNLanguageModel(self.cell, self.hidden, self.embedding, self.vocab_size)


@fixed_task
def RNNLM_lm1bbytes_Patch32_IRNN128_Embed64() -> RNNLanguageModelTask:
    """LM1B as bytes, IRNN of width 128, 32 tokens."""
    return RNNLanguageModelTask(
        lm1b_bytes(128, 32), cell="IRNN", hidden=128, embedding=64
    )


@fixed_task
def RNNLM_lm1bbytes_Patch32_LSTM128_Embed64() -> RNNLanguageModelTask:
    """LM1B as bytes, LSTM of width 128, 32 tokens."""
    return RNNLanguageModelTask(
        lm1b_bytes(128, 32), cell="LSTM", hidden=128, embedding=64
    )


@fixed_task
def RNNLM_lm1bbytes_Patch32_GRU128_Embed64() -> RNNLanguageModelTask:
    """LM1B as bytes, GRU of width 128, 32 tokens."""
    return RNNLanguageModelTask(
        lm1b_bytes(128, 32), cell="GRU", hidden=128, embedding=64
    )


@fixed_task
def RNNLM_lm1bbytes_Patch32_VanillaRNN128_Embed64() -> RNNLanguageModelTask:
    """LM1B as bytes, VanillaRNN of width 128, 32 tokens."""
    return RNNLanguageModelTask(
        lm1b_bytes(128, 32), cell="VanillaRNN", hidden=128, embedding=64
    )


@fixed_task
def RNNLM_lm1bbytes_Patch128_LSTM128_Embed64() -> RNNLanguageModelTask:
    """LM1B as bytes, LSTM of width 128, 128 tokens."""
    return RNNLanguageModelTask(
        lm1b_bytes(128, 128), cell="LSTM", hidden=128, embedding=64
    )


@fixed_task
def RNNLM_lm1bbytes_Patch32_LSTM256_Embed128() -> RNNLanguageModelTask:
    """LM1B as bytes, LSTM of width 256, 32 tokens."""
    return RNNLanguageModelTask(
        lm1b_bytes(128, 32), cell="LSTM", hidden=256, embedding=128
    )


@fixed_task
def RNNLM_lm1bbytes_Patch32_GRU256_Embed128() -> RNNLanguageModelTask:
    """LM1B as bytes, GRU of width 256, 32 tokens."""
    return RNNLanguageModelTask(
        lm1b_bytes(128, 32), cell="GRU", hidden=256, embedding=128
    )


@fixed_task
def RNNLM_lm1b32k_Patch32_VanillaRNN256_Embed128() -> RNNLanguageModelTask:
    """LM1B in 32,000 pieces, VanillaRNN of width 256, 32 tokens."""
    return RNNLanguageModelTask(
        lm1b_32k(128, 32), cell="VanillaRNN", hidden=256, embedding=128
    )


@fixed_task
def RNNLM_lm1b32k_Patch32_LSTM256_Embed128() -> RNNLanguageModelTask:
    """LM1B in 32,000 pieces, LSTM of width 256, 32 tokens."""
    return RNNLanguageModelTask(
        lm1b_32k(128, 32), cell="LSTM", hidden=256, embedding=128
    )


@fixed_task
def RNNLM_lm1b32k_Patch32_IRNN256_Embed128() -> RNNLanguageModelTask:
    """LM1B in 32,000 pieces, IRNN of width 256, 32 tokens."""
    return RNNLanguageModelTask(
        lm1b_32k(128, 32), cell="IRNN", hidden=256, embedding=128
    )


@fixed_task
def RNNLM_wikipediaen32k_Patch32_LSTM256_Embed128() -> RNNLanguageModelTask:
    """English Wikipedia in 32,000 pieces, LSTM of width 256, 32 tokens."""
    return RNNLanguageModelTask(
        wikipedia_en_32k(128, 32), cell="LSTM", hidden=256, embedding=128
    )


@fixed_task
def RNNLM_wikipediaen32k_Patch32_GRU256_Embed128() -> RNNLanguageModelTask:
    """English Wikipedia in 32,000 pieces, GRU of width 256, 32 tokens."""
    return RNNLanguageModelTask(
        wikipedia_en_32k(128, 32), cell="GRU", hidden=256, embedding=128
    )


@fixed_task
def RNNLM_wikipediaenbytes_Patch32_LSTM256_Embed128() -> RNNLanguageModelTask:
    """English Wikipedia as bytes, LSTM of width 256, 32 tokens."""
    return RNNLanguageModelTask(
        wikipedia_en_bytes(128, 32), cell="LSTM", hidden=256, embedding=128
    )


@fixed_task
def RNNLM_wikipediaenbytes_Patch32_GRU256_Embed128() -> RNNLanguageModelTask:
    """English Wikipedia as bytes, GRU of width 256, 32 tokens."""
    return RNNLanguageModelTask(
        wikipedia_en_bytes(128, 32), cell="GRU", hidden=256, embedding=128
    )


@own_fixed_task
def RNNLM_kjvbytes_Patch32_LSTM128_Embed64() -> RNNLanguageModelTask:
    """The King James Bible as bytes, LSTM of width 128, 32 tokens."""
    return RNNLanguageModelTask(
        kjv_bytes(128, 32), cell="LSTM", hidden=128, embedding=64
    )


@own_fixed_task
def RNNLM_kjvbytes_Patch32_GRU128_Embed64() -> RNNLanguageModelTask:
    """The King James Bible as bytes, GRU of width 128, 32 tokens."""
    return RNNLanguageModelTask(
        kjv_bytes(128, 32), cell="GRU", hidden=128, embedding=64
    )
