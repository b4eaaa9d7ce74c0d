"""Make the table of architectures in `docs/learned_optimizers.md`.

    python scripts/make_lopt_table.py [--check]

With `--check` nothing is written: the page is compared with a fresh one.
"""

from __future__ import annotations

import math
import re
from typing import Any

import generated_page
import jax
import jax.numpy as jnp

from learned_optimization.learned_optimizers.base import (
    LearnedOptimizer,
    all_learned_optimizers,
    summary,
)
from learned_optimization.learned_optimizers.description import (
    Shapes,
    size_of,
    theta_shapes,
)
from learned_optimization.optimizers.base import Optimizer, get_optimizer
from learned_optimization.prng import key_of_seed

PAGE = generated_page.DOCS / "learned_optimizers.md"

# Small enough that nothing is cut into pieces, large enough that a tensor's own
# work, an LSTM's, counts for little.
_SIDE = 128

_HEAD = """\
| architecture | what it is | inputs | meta-parameters | needs | operations | state |
|---|---|--:|--:|---|--:|--:|
"""
_TABLE = re.compile(r"^\| architecture \|.*?\n(?!\|)", re.MULTILINE | re.DOTALL)


def page() -> str:
    """Return the whole page, with a fresh table."""
    rows = [_row(name, cls) for name, cls in all_learned_optimizers().items()]
    adam = get_optimizer("Adam")()
    operations, state = _cost(adam)
    rows.append(f"| (`Adam`) | for comparison | | | | {operations} | {state} |\n")
    return _TABLE.sub(lambda _: _HEAD + "".join(rows), PAGE.read_text(), count=1)


def _row(name: str, cls: type[LearnedOptimizer]) -> str:
    lopt = cls()
    shapes = theta_shapes(lopt)
    needs = ", ".join(f"`{need}`" for need in sorted(lopt.needs))
    operations, state = _cost(lopt.opt_fn(lopt.init(key_of_seed(0))))
    inputs = _num_inputs(shapes) or ""
    return (
        f"| `{name}` | {summary(cls)} | {inputs} | {size_of(shapes):,} | {needs} | "
        f"{operations} | {state} |\n"
    )


def _num_inputs(shapes: Shapes) -> int:
    """Return the inputs of the network per parameter: rows of its first layer."""
    first = re.compile(r"(.*\|)?(w0(__\d+)?|mlp/~/linear_0\|w)")
    return sum(shape[-2] for name, shape in shapes.items() if first.fullmatch(name))


def _cost(opt: Optimizer) -> tuple[str, str]:
    """Return operations of an update, and numbers in the state, for each parameter."""
    params = {"w": jnp.zeros((_SIDE, _SIDE))}
    count = _SIDE * _SIDE

    def init(params: Any) -> Any:
        return opt.init(params, num_steps=1_000, key=key_of_seed(0))

    def update(state: Any, grad: Any) -> Any:
        return opt.update(state, grad, loss=jnp.ones([]), key=key_of_seed(1))

    state = jax.eval_shape(init, params)
    held = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(state)) - count
    # Before XLA fuses anything: another version of it counts the same.
    costs: Any = jax.jit(update).lower(state, params).cost_analysis()
    operations = float(f"{costs['flops'] / count:.2g}")
    return f"{operations:,.0f}", f"{held / count:.1f}"


if __name__ == "__main__":
    generated_page.main(PAGE, page)
