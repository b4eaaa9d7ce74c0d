"""Measurements of optimizers that nobody made, whose values are known."""

from learned_optimization.benchmarking.optimizer_cost import (
    Machine,
    OptimizerCost,
    Quartiles,
)


def cost_of(
    task,
    name,
    setting="SGD_lr0.01",
    gradient=0.003,
    update=0.002,
    step_ratio=1.5,
    state_bytes=804,
    measured="2026-01-02T03:04:05+00:00",
):
    """A measurement on this machine, of 100 parameters."""
    return OptimizerCost(
        name=name,
        setting=setting,
        task=task,
        needs=(),
        num_params=100,
        dtype="float32",
        state_bytes=state_bytes,
        state_floats=state_bytes // 4,
        temporary_bytes=0,
        update_flops=1000.0,
        update_seconds=Quartiles(update / 2, update, update * 2),
        update_ratio=Quartiles(1.0, 2.0, 3.0),
        gradient_seconds=Quartiles(gradient / 2, gradient, gradient * 2),
        sgd_seconds=Quartiles(0.5e-6, 1e-6, 2e-6),
        step_ratio=Quartiles(1.0, step_ratio, 9.0),
        repetitions=7,
        num_steps=100,
        peak_flops_per_second=1e11,
        machine=Machine.here(),
        measured=measured,
    )
