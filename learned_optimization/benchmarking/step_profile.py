"""Where the time of one training step goes, by kind of operation.

jax's profiler times every operation of the compiled program; the program's text
(HLO) tells what each one does.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax.profiler import ProfileData

from learned_optimization.benchmarking.peak import matmul_peak
from learned_optimization.errors import LoptError
from learned_optimization.optimizers.optax_opts import Adam
from learned_optimization.prng import key_of_seed
from learned_optimization.tasks.base import Task
from learned_optimization.tasks.cost import cost

# The first kind of which a fused operation holds an instruction is its kind.
_KINDS = {
    "convolutions": {"convolution"},
    "matrix products": {"dot"},
    "gathers, scatters, sorts": {"gather", "scatter", "sort"},
    "reductions": {"reduce", "reduce-window", "select-and-scatter"},
}
PRODUCTS = ("convolutions", "matrix products")
_NO_WORK = {"parameter", "constant", "bitcast", "tuple", "get-tuple-element"}
_ONLY_MOVES = _NO_WORK | {
    *(
        "copy",
        "iota",
        "transpose",
        "reshape",
        "broadcast",
        "concatenate",
        "pad",
        "slice",
    ),
    *("slice", "reverse", "dynamic-slice", "dynamic-update-slice"),
}
_CONTAINERS = {"while", "conditional", "call"}

_COMPUTATION = re.compile(r"^(?:ENTRY )?%?([^\s(]+) \(.*\{$")
_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%(\S+) = (?:\(.*?\)|\S+) ([\w-]+)\(")
_CALLED = re.compile(r"(?:calls|to_apply)=%([^\s,)]+)")


def step_profile(task: Task, seconds: float) -> dict[str, Any]:
    """Time one trial's updates with Adam, evaluations left out.

    Args:
      task: its data must be available.
      seconds: how long to run, about.

    Returns:
      `seconds_per_step`; `flops_per_step`, of matrix products and convolutions;
      `peak_flops_per_second`; and `shares`, kind of operation to its share of the
      time, where `between operations` is what no operation accounts for. Shares
      are taken while the profiler runs, `seconds_per_step` is not.

    Raises:
      LoptError: if the profiler recorded none of the program's operations.
    """
    program, args = _updates(task)
    once = _seconds(program, *args, jnp.int32(1))
    num_steps = max(2, min(200, int(seconds / once)))
    each = _seconds(program, *args, jnp.int32(num_steps)) / num_steps
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            start = time.perf_counter()
            jax.block_until_ready(program(*args, jnp.int32(num_steps)))
            traced = (time.perf_counter() - start) / num_steps
        [file] = Path(folder).rglob("*.xplane.pb")
        spent = _seconds_of_operations(file)
    by_kind: dict[str, float] = defaultdict(float)
    kinds = kinds_of_operations(program.as_text() or "")
    for name, total in spent.items():
        if name in kinds:
            by_kind[kinds[name]] += total / num_steps
    if not by_kind:
        raise LoptError(f"the profiler recorded no operation of {task.name}.")
    between = max(0.0, traced - sum(by_kind.values()))
    whole = between + sum(by_kind.values())
    shares = {kind: spent / whole for kind, spent in by_kind.items()}
    return {
        "seconds_per_step": each,
        "flops_per_step": cost(task).flops,
        "peak_flops_per_second": matmul_peak(),
        "shares": {**shares, "between operations": between / whole},
    }


def share_of_peak(profile: Mapping[str, Any]) -> tuple[float, float]:
    """Return the share of the peak of a whole step, and of its products alone."""
    whole = profile["flops_per_step"] / (
        profile["seconds_per_step"] * profile["peak_flops_per_second"]
    )
    return whole, whole / sum(profile["shares"].get(kind, 0.0) for kind in PRODUCTS)


def _updates(task: Task) -> tuple[Any, tuple[Any, Any]]:
    """Return the compiled program of any number of updates, and its first arguments.

    It is a `jax.stages.Compiled`, a type that type checkers do not see.
    """
    opt, key = Adam(learning_rate=1e-3), key_of_seed(0)
    batch = next(task.datasets.train) if task.datasets else None
    params, state = jax.jit(task.init_with_state)(key)
    opt_state = opt.init(params, model_state=state, num_steps=10_000)

    def update(step, opt_state, batch):
        params, state = opt.get_params_state(opt_state)
        (loss, state), grad = jax.value_and_grad(task.loss_with_state, has_aux=True)(
            params, state, jax.random.fold_in(key, step), batch
        )
        return opt.update(opt_state, grad, loss=loss, model_state=state)

    @jax.jit
    def updates(opt_state, batch, num_steps):
        return jax.lax.fori_loop(
            0, num_steps, lambda i, s: update(i, s, batch), opt_state
        )

    zero = jnp.zeros((), jnp.int32)
    return updates.lower(opt_state, batch, zero).compile(), (opt_state, batch)


def _seconds(program: Callable[..., Any], *args: Any) -> float:
    jax.block_until_ready(program(*args))
    start = time.perf_counter()
    jax.block_until_ready(program(*args))
    return time.perf_counter() - start


def _seconds_of_operations(file: Path) -> Mapping[str, float]:
    spent: dict[str, float] = defaultdict(float)
    for plane in ProfileData.from_file(str(file)).planes:
        for line in plane.lines:
            for event in line.events:
                if dict(event.stats).get("hlo_op") == event.name:
                    spent[event.name] += event.duration_ns * 1e-9
    return spent


def kinds_of_operations(hlo: str) -> dict[str, str]:
    """Return the kind of every operation of a compiled program, by its name.

    Args:
      hlo: the program's text, `jax.stages.Compiled.as_text()`.

    Returns:
      Name to kind. Loops and calls are left out: their bodies' operations count.
    """
    opcodes: dict[str, set[str]] = {}
    instructions: list[tuple[str, str, str, str | None]] = []
    parts_of_operations: set[str] = set()
    inside = ""
    for line in hlo.splitlines():
        if header := _COMPUTATION.match(line):
            inside = header[1]
            opcodes[inside] = set()
        elif instruction := _INSTRUCTION.match(line):
            name, opcode = instruction.groups()
            called = _CALLED.search(line) if opcode != "call" else None
            if called:
                parts_of_operations.add(called[1])
            opcodes.setdefault(inside, set()).add(opcode)
            fused = called[1] if called and opcode == "fusion" else None
            instructions.append((inside, name, opcode, fused))
    return {
        name: _kind(opcodes[fused] if fused else {opcode})
        for inside, name, opcode, fused in instructions
        if opcode not in _CONTAINERS | _NO_WORK and inside not in parts_of_operations
    }


def _kind(opcodes: set[str]) -> str:
    for kind, members in _KINDS.items():
        if opcodes & members:
            return kind
    return "moving data" if opcodes <= _ONLY_MOVES else "element by element"
