"""How fast a task trains: the seconds of a batch, and of a step of SGD.

`lopt bench` measures the training engine; this is a plain loop of steps over several
copies of the task at once, as the published system times tasks.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from learned_optimization import filesystem
from learned_optimization.configurable import configurable
from learned_optimization.errors import check_at_least
from learned_optimization.optimizers.optax_opts import SGD
from learned_optimization.prng import key_of_seed
from learned_optimization.tasks.base import Task

Seconds = tuple[float, float]
"""Mean and standard error."""

_STEPS = 10
_SECONDS_OF_DATA = 2.0


def task_seconds(
    task: Task, num_tasks: Sequence[int] = (1, 2, 4, 8), num_estimates: int = 30
) -> dict[str, Seconds | None]:
    """Measure the seconds of a batch and of a training step.

    Args:
      task: its data must be available.
      num_tasks: number of copies of the task trained at once, one per measurement.
      num_estimates: repetitions of each measurement.

    Returns:
      `data`: seconds of drawing one batch, None where the task has no data.
      `unroll_<n>x10`: seconds of ten steps of SGD of `n` copies, over `10 n`: it
      is throughput, not latency. Compiling is left out.

    Raises:
      LoptError: if a number is below 1, or the data is not available.
    """
    check_at_least("num_estimates", num_estimates, 1)
    seconds_of: dict[str, Seconds | None] = {"data": None}
    if task.datasets is not None:
        batches = iter(task.datasets.train)
        seconds_of["data"] = _seconds(
            lambda: next(batches), num_estimates, at_least=_SECONDS_OF_DATA
        )
    for count in num_tasks:
        check_at_least("num_tasks", count, 1)
        mean, error = _seconds(_unroll(task, count), num_estimates)
        steps = count * _STEPS
        seconds_of[f"unroll_{count}x{_STEPS}"] = (mean / steps, error / steps)
    return seconds_of


def _seconds(
    run: Callable[[], Any], num_estimates: int, at_least: float = 0.0
) -> Seconds:
    """Time a function, after one call that compiles it or fills its buffers."""
    jax.block_until_ready(run())
    times: list[float] = []
    while len(times) < num_estimates or (
        sum(times) < at_least and len(times) < 1_000 * num_estimates
    ):
        start = time.perf_counter()
        jax.block_until_ready(run())
        times.append(time.perf_counter() - start)
    return float(np.mean(times)), float(np.std(times) / np.sqrt(len(times)))


def _unroll(task: Task, count: int) -> Callable[[], jax.Array]:
    """Return a compiled function that trains copies of a task for a few steps."""
    opt = SGD()
    keys = jax.random.split(key_of_seed(0), count)

    def start(key: jax.Array) -> Any:
        params, state = task.init_with_state(key)
        return opt.init(params, state, num_steps=1_000, key=key)

    def train(opt_state: Any, batches: Any, key: jax.Array) -> jax.Array:
        def step(opt_state: Any, i_and_batch: Any) -> tuple[Any, jax.Array]:
            i, batch = i_and_batch
            loss_key, update_key = jax.random.split(jax.random.fold_in(key, i))
            params, state = opt.get_params_state(opt_state)
            (loss, state), grad = jax.value_and_grad(
                task.loss_with_state, has_aux=True
            )(params, state, loss_key, batch)
            opt_state = opt.update(
                opt_state, grad, loss=loss, model_state=state, key=update_key
            )
            return opt_state, loss

        xs = (jnp.arange(_STEPS), batches)
        return jnp.mean(jax.lax.scan(step, opt_state, xs)[1])

    batches = None
    if task.datasets is not None:
        source = iter(task.datasets.train)
        drawn = [[next(source) for _ in range(_STEPS)] for _ in range(count)]
        rows = [jax.tree.map(lambda *x: np.stack(x), *row) for row in drawn]
        batches = jax.device_put(jax.tree.map(lambda *x: np.stack(x), *rows))
    opt_states = jax.jit(jax.vmap(start))(keys)
    compiled = jax.jit(jax.vmap(train))
    return lambda: compiled(opt_states, batches, keys)


@configurable("learned_optimization.baselines.run_time_task")
def run_many_eval_and_save(task: Task, save_dir: str) -> str:
    """Measure a task and write what `task_seconds` gives, as JSON.

    Args:
      task: the task.
      save_dir: where to; each kind of device has a folder of its own there.

    Returns:
      The path written, `<save_dir>/<platform>_<kind of device>/<random>.json`.

    Raises:
      LoptError: if the data is not available or nothing can be written there.
    """
    device = jax.devices()[0]
    folder = f"{device.platform}_{device.device_kind}".replace(" ", "")
    folder = filesystem.join(save_dir, folder.replace("/", "-"))
    filesystem.check_writable(folder)
    text = json.dumps({"task": task.name, "seconds": task_seconds(task)}, indent=1)
    path = filesystem.join(folder, f"{uuid.uuid4()}.json")
    filesystem.write_bytes(path, text.encode())
    return path
