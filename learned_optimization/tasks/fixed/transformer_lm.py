"""Decoder-only transformers that model text."""

from __future__ import annotations

from dataclasses import dataclass

from learned_optimization.tasks.datasets.text import kjv_bytes, lm1b_32k
from learned_optimization.tasks.models.language import LanguageModelTask
from learned_optimization.tasks.models.transformer import TransformerLanguageModel
from learned_optimization.tasks.registry import fixed_task, own_fixed_task


@dataclass(frozen=True)
class TransformerLanguageModelTask(LanguageModelTask):
    """Prediction of the next token by a decoder-only transformer.

    Attributes:
      datasets: batches of tokens.
      num_heads: attention heads, each with keys of 32.
      d_model: width of a token.
      num_layers: decoder layers.
      dropout: probability that an output of attention or MLP is dropped.
    """

    num_heads: int
    d_model: int
    num_layers: int
    dropout: float = 0.0

    @property
    def model(self) -> TransformerLanguageModel:
        """Maps tokens `[batch, length]` to logits `[batch, length, vocab_size]`."""
        return TransformerLanguageModel(
            self.num_heads,
            self.d_model,
            self.num_layers,
            self.vocab_size,
            self.dropout,
        )


@fixed_task
def TransformerLM_LM1B_MultiRuntime_0() -> TransformerLanguageModelTask:
    """LM1B in 32,000 pieces, one layer of width 20, 5 heads, 8 tokens."""
    return TransformerLanguageModelTask(
        lm1b_32k(4, 8), num_heads=5, d_model=20, num_layers=1, dropout=0.1
    )


@fixed_task
def TransformerLM_LM1B_MultiRuntime_1() -> TransformerLanguageModelTask:
    """LM1B in 32,000 pieces, one layer of width 24, 6 heads, 8 tokens."""
    return TransformerLanguageModelTask(
        lm1b_32k(4, 8), num_heads=6, d_model=24, num_layers=1, dropout=0.1
    )


@fixed_task
def TransformerLM_LM1B_MultiRuntime_2() -> TransformerLanguageModelTask:
    """LM1B in 32,000 pieces, two layers of width 32, 4 heads, 8 tokens."""
    return TransformerLanguageModelTask(
        lm1b_32k(8, 8), num_heads=4, d_model=32, num_layers=2
    )


@fixed_task
def TransformerLM_LM1B_MultiRuntime_3() -> TransformerLanguageModelTask:
    """LM1B in 32,000 pieces, one layer of width 32, 4 heads, 16 tokens."""
    return TransformerLanguageModelTask(
        lm1b_32k(8, 16), num_heads=4, d_model=32, num_layers=1
    )


@fixed_task
def TransformerLM_LM1B_MultiRuntime_4() -> TransformerLanguageModelTask:
    """LM1B in 32,000 pieces, two layers of width 32, 4 heads, 4 tokens."""
    return TransformerLanguageModelTask(
        lm1b_32k(16, 4), num_heads=4, d_model=32, num_layers=2
    )


@fixed_task
def TransformerLM_LM1B_MultiRuntime_5() -> TransformerLanguageModelTask:
    """LM1B in 32,000 pieces, one layer of width 32, 4 heads, 32 tokens."""
    return TransformerLanguageModelTask(
        lm1b_32k(8, 32), num_heads=4, d_model=32, num_layers=1
    )


@fixed_task
def TransformerLM_LM1B_MultiRuntime_6() -> TransformerLanguageModelTask:
    """LM1B in 32,000 pieces, one layer of width 80, 5 heads, 64 tokens."""
    return TransformerLanguageModelTask(
        lm1b_32k(4, 64), num_heads=5, d_model=80, num_layers=1
    )


@fixed_task
def TransformerLM_LM1B_MultiRuntime_7() -> TransformerLanguageModelTask:
    """LM1B in 32,000 pieces, three layers of width 112, 7 heads, 32 tokens."""
    return TransformerLanguageModelTask(
        lm1b_32k(16, 32), num_heads=7, d_model=112, num_layers=3
    )


@fixed_task
def TransformerLM_LM1B_MultiRuntime_8() -> TransformerLanguageModelTask:
    """LM1B in 32,000 pieces, one layer of width 128, 4 heads, 32 tokens."""
    return TransformerLanguageModelTask(
        lm1b_32k(64, 32), num_heads=4, d_model=128, num_layers=1
    )


@fixed_task
def TransformerLM_LM1B_MultiRuntime_9() -> TransformerLanguageModelTask:
    """LM1B in 32,000 pieces, two layers of width 256, 4 heads, 64 tokens."""
    return TransformerLanguageModelTask(
        lm1b_32k(64, 64), num_heads=4, d_model=256, num_layers=2
    )


@fixed_task
def TransformerLM_LM1B_MultiRuntime_10() -> TransformerLanguageModelTask:
    """LM1B in 32,000 pieces, three layers of width 256, 4 heads, 64 tokens."""
    return TransformerLanguageModelTask(
        lm1b_32k(128, 64), num_heads=4, d_model=256, num_layers=3
    )


@fixed_task
def TransformerLM_LM1B_MultiRuntime_11() -> TransformerLanguageModelTask:
    """LM1B in 32,000 pieces, two layers of width 304, 19 heads, 32 tokens."""
    return TransformerLanguageModelTask(
        lm1b_32k(256, 32), num_heads=19, d_model=304, num_layers=2
    )


@fixed_task
def TransformerLM_LM1B_5layer_32width() -> TransformerLanguageModelTask:
    """LM1B in 32,000 pieces, five layers of width 32, 8 heads, 128 tokens."""
    return TransformerLanguageModelTask(
        lm1b_32k(32, 128), num_heads=8, d_model=32, num_layers=5, dropout=0.1
    )


@fixed_task
def TransformerLM_LM1B_5layer_128width() -> TransformerLanguageModelTask:
    """LM1B in 32,000 pieces, five layers of width 128, 8 heads, 128 tokens."""
    return TransformerLanguageModelTask(
        lm1b_32k(32, 128), num_heads=8, d_model=128, num_layers=5, dropout=0.1
    )


@fixed_task
def TransformerLM_LM1B_5layer_256width() -> TransformerLanguageModelTask:
    """LM1B in 32,000 pieces, five layers of width 256, 8 heads, 128 tokens."""
    return TransformerLanguageModelTask(
        lm1b_32k(32, 128), num_heads=8, d_model=256, num_layers=5, dropout=0.1
    )


@fixed_task
def TransformerLM_LM1B_5layer_512width() -> TransformerLanguageModelTask:
    """LM1B in 32,000 pieces, five layers of width 512, 8 heads, 128 tokens."""
    return TransformerLanguageModelTask(
        lm1b_32k(32, 128), num_heads=8, d_model=512, num_layers=5, dropout=0.1
    )


@own_fixed_task
def TransformerLM_kjvbytes_1layer_64width() -> TransformerLanguageModelTask:
    """The King James Bible as bytes, one layer of width 64, 4 heads, 32 tokens."""
    return TransformerLanguageModelTask(
        kjv_bytes(64, 32), num_heads=4, d_model=64, num_layers=1
    )


@own_fixed_task
def TransformerLM_kjvbytes_2layer_128width() -> TransformerLanguageModelTask:
    """The King James Bible as bytes, two layers of width 128, 4 heads, 64 tokens."""
    return TransformerLanguageModelTask(
        kjv_bytes(64, 64), num_heads=4, d_model=128, num_layers=2
    )
