"""The loss of language models by its definition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learned_optimization.tasks.datasets.text import kjv_bytes
from learned_optimization.tasks.fixed.rnn_lm import RNNLanguageModelTask

TASK = RNNLanguageModelTask(kjv_bytes(2, 3), cell="GRU", hidden=4, embedding=2)
LOGITS = jax.random.normal(jax.random.PRNGKey(0), (2, 3, 259))
BATCH = {
    "obs": np.array([[5, 7, 9], [11, 13, 0]], np.int32),
    "target": np.array([[7, 9, 2], [13, 0, 0]], np.int32),
}


def test_padding_behind_a_text_is_predicted_once():
    log_probs = np.float64(LOGITS)
    log_probs -= np.log(np.exp(log_probs).sum(-1, keepdims=True))
    counted = [(0, 0, 7), (0, 1, 9), (0, 2, 2), (1, 0, 13), (1, 1, 0)]
    want = -np.mean([log_probs[place] for place in counted])
    assert float(TASK.output_loss(LOGITS, BATCH)) == pytest.approx(want, rel=1e-5)


def test_what_stands_on_padding_does_not_matter():
    other = {**BATCH, "target": BATCH["target"] + np.array([[0] * 3, [0, 0, 9]])}
    assert TASK.output_loss(LOGITS, other) == TASK.output_loss(LOGITS, BATCH)


def test_a_batch_of_padding_has_no_loss_and_no_gradient():
    empty = jax.tree.map(np.zeros_like, BATCH)
    loss, grad = jax.value_and_grad(TASK.output_loss)(LOGITS, empty)
    assert float(loss) == 0
    assert not jnp.any(grad)
