"""What is timed is every step, and nothing but the step; sizes are exact."""

import re

import jax
import numpy as np
import pytest

from learned_optimization.benchmarking.step_programs import (
    NUM_BATCHES,
    StepProgram,
    Workload,
    gradient_program,
    state_size,
    update_flops,
    update_program,
    whole_step_program,
)
from learned_optimization.optimizers import optax_opts
from learned_optimization.optimizers.base import get_optimizer
from learned_optimization.optimizers.optax_opts import SGD, Adam
from learned_optimization.tasks.base import Task
from tests.benchmarking.workloads import Chain, Layer
from tests.tiny import StatefulTask, TinyTask

ROWS, COLUMNS = 200, 150
NUM_PARAMS = ROWS * COLUMNS + COLUMNS


@pytest.fixture(scope="module")
def layer() -> Workload:
    return Workload.of(Layer(ROWS, COLUMNS))


# Floating-point numbers of state, from the papers: what each keeps for a parameter.
PER_PARAMETER = {
    "SGD": 0,
    "SGDM": 1,  # the velocity
    "Lion": 1,  # one momentum
    "AdaGrad": 1,  # the sum of squares
    "Adam": 2,  # both moments
    "AdamW": 2,
    "AMSGrad": 3,  # ... and the largest second one
    "Adan": 4,  # three moments and the last gradient
}


@pytest.mark.parametrize("name", PER_PARAMETER)
def test_state_of_so_much_per_parameter(layer: Workload, name: str) -> None:
    num_bytes, floats = state_size(get_optimizer(name)(), layer)
    assert floats == PER_PARAMETER[name] * NUM_PARAMS
    # Steps are counted in whole numbers of four bytes, once or twice.
    assert num_bytes - 4 * floats in (4, 8, 12)


def test_state_that_is_factored(layer: Workload) -> None:
    # Shazeer & Stern 2018, section 3: a sum per row and one per column of a matrix;
    # all of a vector. optax fills each place that is not used with one number.
    _, floats = state_size(get_optimizer("Adafactor")(), layer)
    assert floats == (ROWS + COLUMNS + 1) + (COLUMNS + 2)
    # Anil et al. 2019, section 4: the same cover, and here a momentum.
    _, floats = state_size(get_optimizer("SM3")(), layer)
    assert floats == NUM_PARAMS + (ROWS + COLUMNS) + COLUMNS


def test_the_model_state_is_no_state_of_the_optimizer() -> None:
    stateful, plain = (Workload.of(task) for task in (StatefulTask(), TinyTask()))
    assert state_size(Adam(), stateful) == state_size(Adam(), plain)


def test_operations_of_an_update(layer: Workload) -> None:
    # A product with the rate and a sum for each, and the number of the step.
    assert update_flops(SGD(), layer) == 2 * NUM_PARAMS + 1
    opt = Chain(products=30)
    assert update_flops(opt, layer) == pytest.approx(opt.flops, rel=0.05)


def test_a_step_of_an_optimizer_includes_the_losses_it_asks_for(
    layer: Workload,
) -> None:
    products = 2 * COLUMNS**2 * ROWS
    needing = update_flops(get_optimizer("LBFGS")(), layer)
    assert needing is not None
    assert needing > products


@pytest.mark.parametrize("num_steps", [1, 7, 1001])
def test_every_update_is_done(num_steps: int) -> None:
    work, rate = Workload.of(TinyTask()), 0.125
    program = update_program(SGD(learning_rate=rate), work)
    before, after = program.run(0), program.run(num_steps)
    assert after.iteration - before.iteration == num_steps
    taken = {k: np.zeros_like(v) for k, v in work.params.items()}
    for step in range(num_steps):
        turn, row = divmod(step, NUM_BATCHES)
        for name, pool in work.gradients.items():
            taken[name] = taken[name] + (-1) ** turn * np.asarray(pool[row])
    for name, total in taken.items():
        assert np.any(work.gradients[name][0] != work.gradients[name][1])
        np.testing.assert_allclose(
            after.params[name], before.params[name] - rate * total, rtol=1e-4, atol=1e-6
        )


@pytest.mark.parametrize("task", [TinyTask(), StatefulTask()])
def test_every_gradient_is_computed(task: Task) -> None:
    work = Workload.of(task)
    total, state = gradient_program(work).run(6)
    want = 0.0
    for step in range(6):
        batch = jax.tree.map(lambda x, row=step % NUM_BATCHES: x[row], work.batches)
        key = jax.random.fold_in(work.key, step)
        loss, grad = jax.value_and_grad(
            lambda p, key=key, batch=batch: TinyTask().loss(p, key, batch)
        )(work.params)
        want += float(loss) + float(grad["b"]) + float(grad["w"][0])
    assert float(total) == pytest.approx(want, rel=1e-5)
    if state is not None:
        assert state["calls"] == 6


def entry(program: StepProgram) -> str:
    """Return the part of a program's text that is done once."""
    text = str(program._program.as_text())
    (found,) = re.findall(r"^ENTRY .*?^}", text, flags=re.MULTILINE | re.DOTALL)
    assert " while(" in found
    return found


def test_no_product_is_moved_out_of_the_loop(layer: Workload) -> None:
    """The loss of this task is the same at every step: for XLA it must not be."""
    products = r"\bdot\(|gemm|matmul"
    for program in (
        gradient_program(layer),
        update_program(Chain(products=3), layer),
    ):
        assert re.search(products, str(program._program.as_text()))
        assert not re.search(products, entry(program))


@pytest.mark.slow
def test_a_whole_step_trains() -> None:
    work = Workload.of(TinyTask())
    program = whole_step_program(optax_opts.SGD(learning_rate=0.05), work)
    loss = jax.jit(TinyTask().loss)
    batch = jax.tree.map(lambda x: x[0], work.batches)
    losses = [
        float(loss(program.run(n).params, work.key, batch)) for n in (0, 100, 1000)
    ]
    assert losses[2] < 0.1 * losses[1] < 0.1 * losses[0]


def test_scratch_of_a_program(layer: Workload) -> None:
    """The products need places of their own; sums of numbers need none."""
    chain = update_program(Chain(products=2, size=64), layer).temporary_bytes
    plain = update_program(SGD(), layer).temporary_bytes
    assert chain is not None
    assert plain is not None
    assert chain >= 64 * 64 * 4 > plain
