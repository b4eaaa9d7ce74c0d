"""Which grids are measured, for how long, and what is said of those that are not."""

import dataclasses

import pytest

from learned_optimization.baselines.sets.hparam_set import HParamSet
from learned_optimization.baselines.sweeps import planning
from learned_optimization.baselines.sweeps.estimate import Estimate, missing_work
from learned_optimization.baselines.sweeps.grids import TrialGrid
from learned_optimization.baselines.sweeps.planning import SweepPlan, in_turns
from learned_optimization.baselines.sweeps.sweep import run_sweep
from learned_optimization.errors import DataNotFoundError
from learned_optimization.training.results import Measurement
from learned_optimization.training.strategy import Strategy
from tests.cli.running import TASK
from tests.tiny import tiny_set

OTHER = "ImageMLP_FashionMnist8_64x64_Relu_MSE"
SGD, ADAM, MUON = (tiny_set(name, name) for name in ("SGD", "Adam", "Muon"))
LONGER = dataclasses.replace(tiny_set("longer"), num_steps=200)


class Machine:
    """Measures without running anything, on a clock of its own.

    Attributes:
      measured: task and optimizer of each measurement, in their order.
      seconds_per_block: what is measured, by the optimizer.
      takes: how long each measurement takes.
      ends: how often the evaluation of whole splits was measured.
    """

    def __init__(self) -> None:
        self.measured: list[tuple[str, str]] = []
        self.seconds_per_block = {"SGD": 4.5, "Adam": 9.0, "Muon": 90.0}
        self.takes, self.clock, self.ends = 10.0, 0.0, 0

    def measure(
        self, grid: TrialGrid, seconds: float, at_end: bool = True
    ) -> Measurement:
        del seconds
        name = grid.first.opt.defined_by.__name__
        self.measured.append((grid.task_name, name))
        self.clock += self.takes
        self.ends += at_end
        return Measurement(
            Strategy(1), self.seconds_per_block[name], 90, 3.0 * at_end, 2.0
        )


@pytest.fixture
def machine(monkeypatch) -> Machine:
    machine = Machine()
    monkeypatch.setattr(
        TrialGrid, "measure", lambda *args, **options: machine.measure(*args, **options)
    )
    monkeypatch.setattr(planning, "_now", lambda: machine.clock)
    return machine


def planned(
    sets: list[HParamSet], total_seconds: float, tasks: tuple[str, ...] = (TASK,)
) -> list[Estimate]:
    work = missing_work(tasks, sets)
    return list(SweepPlan(work, 1.0, total_seconds).estimates())


def names(estimates: list[Estimate]) -> list[tuple[str, str, bool]]:
    return [(e.task_name, e.set_name, e.is_rough) for e in estimates]


# 21 updates of three passes and 60 batches; 45 passes to a block.
def seconds_of(seconds_per_block: float, passes: int = 123) -> float:
    return 2.0 + seconds_per_block / 45 * passes + 3.0


def test_sets_of_one_structure_share_a_measurement(machine):
    found = planned([SGD, LONGER, ADAM], 100)
    assert machine.measured == [(TASK, "SGD"), (TASK, "Adam")]
    # 201 updates, and 3 x (20 x 5 + 10) batches; the program is compiled already.
    longer = seconds_of(4.5, 603 + 330) - 2.0
    expected = [seconds_of(4.5), longer, seconds_of(9.0)]
    assert [e.seconds for e in found] == pytest.approx(expected)
    assert not any(e.is_rough for e in found)
    # The evaluation at the end is that of the task.
    assert machine.ends == 1


def test_rows_come_as_they_are_known_and_tasks_take_turns(machine):
    plan = SweepPlan(missing_work((TASK, OTHER), [SGD, ADAM, LONGER]), 1.0, 100)
    assert plan.num_to_measure == 4
    seen = [(e.task_name, e.set_name, len(machine.measured)) for e in plan.estimates()]
    # Those with most updates first.
    assert seen == [
        (TASK, "SGD", 1),
        (TASK, "longer", 1),
        (OTHER, "SGD", 2),
        (OTHER, "longer", 2),
        (TASK, "Adam", 3),
        (OTHER, "Adam", 4),
    ]


def test_what_is_not_reached_costs_what_its_task_does(machine):
    found = planned([SGD, ADAM, MUON], 25)
    assert machine.measured == [(TASK, "SGD"), (TASK, "Adam")]
    assert names(found) == [
        (TASK, "SGD", False),
        (TASK, "Adam", False),
        (TASK, "Muon", True),
    ]
    # The lower of two: of a slow optimizer another says little.
    assert found[2].seconds == pytest.approx(found[0].seconds)


def test_a_task_that_is_not_reached_has_the_speed_of_arithmetic(machine):
    known, guessed = planned([SGD], 5, (TASK, OTHER))
    assert machine.measured == [(TASK, "SGD")]
    assert (known.is_rough, guessed.is_rough) == (False, True)
    assert known.seconds
    assert guessed.seconds == pytest.approx(known.seconds * guessed.flops / known.flops)


def test_the_next_plan_measures_what_is_left(machine):
    first = planned([SGD, ADAM, MUON], 15)
    again = planned([SGD, ADAM, MUON], 15)
    assert [name for _, name in machine.measured] == ["SGD", "Adam"]
    assert names(again)[:2] == [(TASK, "SGD", False), (TASK, "Adam", False)]
    assert again[0] == first[0]
    planned([SGD, ADAM, MUON], 15)
    planned([SGD, ADAM, MUON], 15)
    assert [name for _, name in machine.measured] == ["SGD", "Adam", "Muon"]


def test_without_time_what_is_recorded_has_to_do(machine):
    assert [e.seconds for e in planned([SGD, ADAM], 0)] == [None, None]
    assert not any(e.is_rough for e in planned([SGD, ADAM], 0))
    planned([SGD], 100)
    [sgd, adam] = planned([SGD, ADAM], 0)
    assert len(machine.measured) == 1
    assert sgd.seconds == adam.seconds == pytest.approx(seconds_of(4.5))
    assert (sgd.is_rough, adam.is_rough) == (False, True)


def test_a_set_of_two_structures_uses_the_measurement_of_each(machine):
    # A field that is no number of the program is part of its structure.
    mixed = HParamSet(
        name="mixed",
        optimizer="Adafactor",
        opt_names=("a", "b"),
        hparams=({"learning_rate": 0.1}, {"learning_rate": 0.1, "factored": False}),
        num_steps=20,
        repetitions=1,
    )
    [row] = missing_work([TASK], [mixed])
    machine.seconds_per_block["Adafactor"] = 4.5
    found = list(SweepPlan([row], 1.0, 100).estimates())
    assert len(row.grids) == len(machine.measured) == 2
    assert found[0].seconds == pytest.approx(2 * seconds_of(4.5))


def test_programs_of_one_shape_are_compiled_once(machine):
    many = dataclasses.replace(tiny_set("many"), repetitions=200)
    [row] = missing_work([TASK], [many])
    assert [len(grid.trials) for grid in row.grids] == [400, 200]
    halves = dataclasses.replace(row, grids=[row.grids[0]] * 2, grid_flops=[1.0] * 2)
    [found] = SweepPlan([halves], 1.0, 100).estimates()
    assert found.seconds == pytest.approx(2 * seconds_of(4.5) - 2.0)


@pytest.mark.slow
def test_a_sweep_is_the_best_measurement(machine):
    summary = run_sweep([TASK], [SGD])
    # Other learning rates: of SGD all have results.
    other = dataclasses.replace(SGD, name="from_seed", first_seed=7)
    [known] = planned([other], 100)
    assert not machine.measured
    assert known.seconds == pytest.approx(summary.run_seconds + summary.compile_seconds)
    assert planned([SGD], 100)[0].seconds == 0


def test_data_is_asked_for_before_anything_is_measured(machine):
    task = "ImageMLP_Cifar10_8_Relu32"
    with pytest.raises(DataNotFoundError):
        SweepPlan(missing_work([task], [SGD]))
    [found] = SweepPlan(missing_work([task], [SGD]), total_seconds=0).estimates()
    assert (found.seconds, found.num_missing) == (None, 9)


@pytest.mark.parametrize(
    ("total_seconds", "measured"),
    [
        (5, [TASK]),
        (15, [TASK, OTHER]),
        # Two are done in 20 seconds, and another would end after 30.
        (29, [TASK, OTHER]),
        (30, [TASK, OTHER, TASK]),
        (99, [TASK, OTHER, TASK, OTHER, TASK, OTHER]),
    ],
)
def test_nothing_is_begun_that_would_end_too_late(total_seconds, measured, machine):
    work = missing_work((TASK, OTHER), [SGD, ADAM, MUON])
    grids = [grid for row in work for grid in row.grids]
    for grid in in_turns(grids, total_seconds):
        grid.measure(1.0)
    assert [task for task, _ in machine.measured] == measured
