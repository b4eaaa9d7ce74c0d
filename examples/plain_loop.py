"""Train with a plain Python loop: tasks and optimizers alone, without the engine."""

import jax
import numpy as np

from learned_optimization.optimizers.optax_opts import Adam
from learned_optimization.tasks.base import get_task_from_name

task = get_task_from_name("ImageMLP_FashionMnist8_Relu32")
opt = Adam(learning_rate=1e-2)
assert task.datasets is not None


@jax.jit
def step(state, key, batch):
    """Return the optimizer's state after one update, and the loss before it."""
    loss, grad = jax.value_and_grad(task.loss)(opt.get_params(state), key, batch)
    return opt.update(state, grad, loss=loss), loss


key = jax.random.PRNGKey(0)
state = opt.init(task.init(key), num_steps=1000)
batches = task.datasets.split("train", seed=0)
for i in range(1000):
    state, loss = step(state, jax.random.fold_in(key, i), next(batches))
    if i % 200 == 0:
        print(f"step {i:4}: training loss {loss:.3f}")

evaluate = jax.jit(task.loss_and_aux)
tests = task.datasets.split("test", seed=0)
scores = [evaluate(opt.get_params(state), key, next(tests)) for _ in range(50)]
print(f"test loss {np.mean([loss for loss, _ in scores]):.3f}")
print(f"test accuracy {np.mean([aux['accuracy'] for _, aux in scores]):.3f}")
