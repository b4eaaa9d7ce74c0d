"""Why our training losses lie a little below the published ones, by simulation.

    python benchmarks/shared_stream.py [--seeds 20]

The published system draws the batches that it evaluates on the `train` split from the
stream that training reads: of every fifteen batches five are evaluated and ten are
trained on. An evaluated example has then not been trained on in the same pass over the
data. Ours are drawn apart from training, so half of them, on average, have been.

Both are trained here on `ImageMLP_FashionMnist8_Relu32` by Adam at the learning rates
that are lowest at some step, and compared as normalizers compare them: the lowest, over
learning rates, of the averaged mean over five seeds.
"""

from __future__ import annotations

import argparse

import jax
import jax.numpy as jnp
import numpy as np

from learned_optimization.baselines.speedups.curve import ema
from learned_optimization.optimizers.optax_opts import Adam
from learned_optimization.tasks.base import get_task_from_name
from learned_optimization.tasks.datasets.base import ArrayData
from learned_optimization.tasks.datasets.streams import EpochStream

TASK = "ImageMLP_FashionMnist8_Relu32"
LEARNING_RATES = (1e-3, 3e-3, 1e-2, 3e-2)
STEPS = (1_000, 2_000, 5_000, 10_000)
NUM_STEPS, EVERY, EVAL_BATCHES = 10_000, 10, 5
_SEEDS_OF_A_BASELINE = 5


def _data() -> tuple[ArrayData, int]:
    """Return the task's data and its batch size."""
    datasets = get_task_from_name(TASK).datasets
    assert datasets is not None
    data = datasets.load()
    assert data is not None
    return data, datasets.batch_size


def batches(seed: int, shared: bool) -> tuple[np.ndarray, np.ndarray]:
    """Draw the examples of a run.

    Args:
      seed: of the streams.
      shared: whether evaluation and training read one stream.

    Returns:
      Indices evaluated `[evaluations, EVAL_BATCHES, batch]` and trained on
      `[evaluations, EVERY, batch]`.
    """
    data, size = _data()
    examples, evaluations = data.splits["train"], NUM_STEPS // EVERY

    def draw(stream: int, count: int) -> np.ndarray:
        taken = EpochStream((seed, stream), examples).take(evaluations * count, size)
        return taken.reshape(evaluations, count, size)

    if shared:
        both = draw(0, EVAL_BATCHES + EVERY)
        return both[:, :EVAL_BATCHES], both[:, EVAL_BATCHES:]
    return draw(1, EVAL_BATCHES), draw(0, EVERY)


def losses(num_seeds: int, shared: bool) -> np.ndarray:
    """Train, and return the evaluated losses `[learning rates, seeds, evaluations]`."""
    task = get_task_from_name(TASK)
    data, _ = _data()
    arrays = {field: jnp.asarray(array) for field, array in data.arrays.items()}
    key = jax.random.PRNGKey(0)  # the loss draws nothing

    def loss(params, indices):
        taken = {field: array[indices.reshape(-1)] for field, array in arrays.items()}
        return task.loss(params, key, data.decode(taken))

    def train(learning_rate, seed, evaluated, trained):
        opt = Adam(learning_rate)

        def step(state, indices):
            grad = jax.grad(loss)(opt.get_params(state), indices)
            return opt.update(state, grad), None

        def ten_steps(state, now):
            value = loss(opt.get_params(state), now[0])
            return jax.lax.scan(step, state, now[1])[0], value

        params = task.init(jax.random.PRNGKey(seed))
        return jax.lax.scan(ten_steps, opt.init(params), (evaluated, trained))[1]

    drawn = [batches(seed, shared) for seed in range(num_seeds)]
    evaluated, trained = (jnp.asarray(np.stack(a)) for a in zip(*drawn, strict=True))
    over_seeds = jax.vmap(train, in_axes=(None, 0, 0, 0))
    over_rates = jax.jit(jax.vmap(over_seeds, in_axes=(0, None, None, None)))
    rates, seeds = jnp.asarray(LEARNING_RATES), jnp.arange(num_seeds)
    return np.asarray(over_rates(rates, seeds, evaluated, trained))


def main() -> None:
    """Print a table: the lowest loss by each step, both ways."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20, help="seeds of each way")
    num_seeds = parser.parse_args().seeds
    columns = "".join(f"{step:>18,}" for step in STEPS)
    print(f"{'lowest loss by step':<28}{columns}")
    for shared in (False, True):
        found = losses(num_seeds, shared)
        groups = np.split(found, num_seeds // _SEEDS_OF_A_BASELINE, axis=1)
        lowest = [
            np.minimum.accumulate(ema(group.mean(axis=1)).min(axis=0))
            for group in groups
        ]
        at = np.stack(lowest)[:, [step // EVERY - 1 for step in STEPS]]
        cells = zip(at.mean(axis=0), at.std(axis=0, ddof=1), strict=True)
        shown = "".join(f"{mean:>11.4f} ±{std:.4f}" for mean, std in cells)
        print(f"{'one stream' if shared else 'streams of their own':<28}{shown}")


if __name__ == "__main__":
    main()
