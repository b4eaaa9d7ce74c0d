"""How long a step of each learned optimizer takes against Adam's, on one core.

    python benchmarks/learned_optimizer_steps.py [NAME ...] [--rows 96 1024]

Eight matrices are stepped: 98,304 parameters of 96 rows by 128 columns each, or 10.5
million of 1,024 by 1,280. Every optimizer is timed by turns with Adam, an update at a
time, compiled, its state donated. Times are those of the processor, which other work on
the machine lengthens little. The table has the shortest of each, and their ratio; the
bytes of state per parameter, without the parameters themselves; and what XLA plans for
temporary arrays. Theta is untrained: times do not depend on it.
"""

from __future__ import annotations

import argparse
import functools
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from learned_optimization.learned_optimizers.base import all_learned_optimizers
from learned_optimization.learned_optimizers.hyper_v2 import HyperV2
from learned_optimization.learned_optimizers.normalized_step import NormalizedStepLOpt
from learned_optimization.optimizers.base import Optimizer
from learned_optimization.optimizers.optax_opts import Adam

# Beside the defaults: VeLO at the size of its published checkpoint, and ours with the
# settings of the package's pretrained one.
LARGER = {
    "HyperV2(512, 256)": functools.partial(
        HyperV2, lstm_hidden_size=512, param_inits=256
    ),
    "NormalizedStepLOpt(tensor_lengths)": functools.partial(
        NormalizedStepLOpt, tensor_lengths=True, gradient_weight=0.9
    ),
}
MATRICES = 8
COLUMNS_PER_ROW = {96: 128, 1024: 1280}


@dataclass(frozen=True)
class StepCost:
    """What one update of an optimizer costs.

    Attributes:
      name: of its class.
      num_params: how many parameters are stepped.
      seconds: the shortest update.
      adam_seconds: the shortest of Adam's by turns with it.
      state_bytes: of the state, without the parameters.
      temporary_bytes: of the temporary arrays of one update, as XLA plans them; None
        where it does not say.
    """

    name: str
    num_params: int
    seconds: float
    adam_seconds: float
    state_bytes: int
    temporary_bytes: int | None

    def row(self) -> str:
        """Return a row of the table."""
        temporary = self.temporary_bytes
        return (
            f"| {self.name} | {self.num_params:,} | {1e3 * self.seconds:.3g} ms "
            f"| {self.seconds / self.adam_seconds:.1f} "
            f"| {self.state_bytes / self.num_params:.1f} B "
            f"| {'' if temporary is None else f'{temporary / 2**20:,.1f} MiB'} |"
        )


HEADER = """\
| optimizer | parameters | update | x Adam | state per parameter | temporary |
|---|---|---|---|---|---|"""


class Stepped:
    """An optimizer with a compiled update, and the state that it has reached."""

    def __init__(self, opt: Optimizer, params: Any, grad: Any) -> None:
        """Compile the update of an optimizer for some parameters."""
        self._grad, self._loss = grad, jnp.ones([])
        self._key = jax.random.PRNGKey(0)
        # A copy, since the state is donated.
        own = jax.tree.map(jnp.array, params)
        self.state = jax.jit(lambda p: opt.init(p, num_steps=10_000, key=self._key))(
            own
        )

        def update(state: Any, grad: Any, loss: jax.Array, key: jax.Array) -> Any:
            return opt.update(state, grad, loss=loss, key=key)

        self._params_of = opt.get_params
        lowered = jax.jit(update, donate_argnums=0).lower(
            self.state, self._grad, self._loss, self._key
        )
        self._update = lowered.compile()
        analysis: Any = self._update.memory_analysis()
        self.temporary_bytes = None if analysis is None else analysis.temp_size_in_bytes

    def seconds(self) -> float:
        """Return how long the processor works on one update."""
        start = time.process_time()
        self.state = self._update(self.state, self._grad, self._loss, self._key)
        jax.block_until_ready(self.state)
        return time.process_time() - start

    def state_bytes(self) -> int:
        """Return the bytes of the state without the parameters."""

        def size(tree: Any) -> int:
            return sum(leaf.nbytes for leaf in jax.tree.leaves(tree))

        return size(self.state) - size(self._params_of(self.state))

    def is_finite(self) -> bool:
        """Return whether all parameters are."""
        leaves = jax.tree.leaves(self._params_of(self.state))
        return all(bool(jnp.isfinite(leaf).all()) for leaf in leaves)


def optimizers(names: list[str]) -> Iterator[tuple[str, Optimizer]]:
    """Yield learned optimizers of untrained theta, those of some names or all.

    Args:
      names: of classes, and of `LARGER`; all if empty.
    """
    for name, make in {**all_learned_optimizers(), **LARGER}.items():
        if not names or name in names:
            lopt = make()
            yield name, lopt.opt_fn(lopt.init(jax.random.PRNGKey(0)))


def measure(
    name: str,
    opt: Optimizer,
    shape: tuple[int, int],
    repetitions: int,
    say: Callable[[str], None] = print,
) -> StepCost:
    """Measure one update of an optimizer, and Adam's beside it.

    Args:
      name: of its class.
      opt: the optimizer.
      shape: of each matrix.
      repetitions: how often each is timed; there is one more that is not.
      say: is told of parameters that are not finite.
    """
    rng = np.random.default_rng(0)

    def matrices(scale: float) -> dict[str, jax.Array]:
        return {
            f"layer{i}": jnp.asarray(scale * rng.normal(size=shape), jnp.float32)
            for i in range(MATRICES)
        }

    params, grad = matrices(0.05), matrices(0.01)
    ours, adam = Stepped(opt, params, grad), Stepped(Adam(), params, grad)
    times = [(adam.seconds(), ours.seconds()) for _ in range(repetitions + 1)][1:]
    if not ours.is_finite():
        say(f"{name}: parameters are not finite.")
    return StepCost(
        name=name,
        num_params=MATRICES * shape[0] * shape[1],
        seconds=min(t for _, t in times),
        adam_seconds=min(t for t, _ in times),
        state_bytes=ours.state_bytes(),
        temporary_bytes=ours.temporary_bytes,
    )


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="classes; all if none")
    parser.add_argument(
        "--rows",
        nargs="+",
        type=int,
        choices=COLUMNS_PER_ROW,
        default=list(COLUMNS_PER_ROW),
        help="rows of each matrix",
    )
    parser.add_argument("--repetitions", type=int, default=25)
    args = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        # Before jax starts its threads.
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    print(HEADER)
    for rows in args.rows:
        shape = rows, COLUMNS_PER_ROW[rows]
        # As long for large matrices as for small ones, or nearly.
        repetitions = args.repetitions if rows < 1000 else max(3, args.repetitions // 5)
        for name, opt in optimizers(args.names):
            print(measure(name, opt, shape, repetitions).row(), flush=True)


if __name__ == "__main__":
    main()
