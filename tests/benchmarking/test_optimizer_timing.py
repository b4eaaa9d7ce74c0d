"""Ratios are those of one repetition, whatever the machine does meanwhile."""

import itertools

import pytest

from learned_optimization.benchmarking.optimizer_cost import OptimizerCost
from learned_optimization.benchmarking.optimizer_timing import measure_costs
from learned_optimization.benchmarking.step_programs import StepProgram
from learned_optimization.errors import LoptError
from learned_optimization.optimizers.base import Optimizer, get_optimizer
from learned_optimization.optimizers.optax_opts import SGD, SGDM
from tests.benchmarking.workloads import Broken, Chain, Exploding, Layer
from tests.tiny import TinyTask

SGD_SECONDS, GRADIENT_SECONDS, OWN_SECONDS = 1e-3, 4e-3, 3e-3


class FakeTimer:
    """A clock by which programs take so long; the first two are SGD and gradient.

    Args:
      own_seconds: of a step of each other program.
      slower: how much slower the machine is at each timing than at the one before.
    """

    def __init__(self, own_seconds: float = OWN_SECONDS, slower: float = 1.0):
        self.own_seconds, self.slower = own_seconds, slower
        self.calls: list[tuple[int, int]] = []

    def __call__(self, program: StepProgram, num_steps: int) -> float:
        known = list(dict.fromkeys(who for who, _ in self.calls))
        if id(program) not in known:
            known.append(id(program))
        place = known.index(id(program))
        self.calls.append((id(program), num_steps))
        each = [SGD_SECONDS, GRADIENT_SECONDS, self.own_seconds][min(place, 2)]
        return num_steps * each * self.slower ** len(self.calls)


def measure(
    opt: Optimizer, timer: FakeTimer, seconds: float = 1.0, repetitions: int = 7
) -> OptimizerCost:
    [cost] = measure_costs(
        TinyTask(),
        {"mine": opt},
        seconds,
        repetitions=repetitions,
        peak_flops_per_second=1e9,
        timer=timer,
    )
    return cost


def test_medians_and_ratios() -> None:
    cost = measure(SGDM(), FakeTimer())
    assert cost.name == "mine"
    assert cost.setting == "SGDM_lr0.01_m0.9"
    assert cost.update_seconds == pytest.approx([OWN_SECONDS] * 3)
    assert cost.update_ratio == pytest.approx([3.0] * 3)
    assert cost.gradient_seconds.median == pytest.approx(GRADIENT_SECONDS)
    assert cost.step_ratio.median == pytest.approx(7 / 5)
    assert cost.step_seconds == pytest.approx(7e-3)
    assert cost.update_share == pytest.approx(3 / 7)
    assert cost.num_params == 6
    assert cost.bytes_per_parameter == pytest.approx((6 * 4 + 4) / 6)
    assert cost.floats_per_parameter == 1.0
    assert cost.update_flops is not None
    assert cost.share_of_peak == pytest.approx(cost.update_flops / 3e-3 / 1e9)


def test_an_optimizer_that_evaluates_the_loss_is_a_step_less_its_gradient() -> None:
    cost = measure(get_optimizer("Sophia")(), FakeTimer(own_seconds=10e-3))
    assert cost.is_difference
    assert cost.needs == ("key", "loss_fn")
    assert cost.update_seconds.median == pytest.approx(6e-3)
    assert cost.step_seconds == pytest.approx(10e-3)
    assert cost.step_ratio.median == pytest.approx(10 / 5)


def test_a_machine_that_slows_down_changes_no_ratio() -> None:
    timer = FakeTimer(slower=1.02)
    cost = measure(SGDM(), timer)
    # SGD is two timings away at most, now before and now after.
    assert cost.update_ratio.median == pytest.approx(3.0, rel=0.05)
    assert cost.step_ratio.median == pytest.approx(7 / 5, rel=0.05)
    spread = cost.update_seconds.high / cost.update_seconds.low
    assert spread > 1.1


def test_the_three_take_turns_and_turn_around() -> None:
    timer = FakeTimer()
    cost = measure(SGDM(), timer, repetitions=4)
    who = [program for program, _ in timer.calls]
    sgd, gradient, own = dict.fromkeys(who)
    assert who[-12:] == [sgd, gradient, own, own, gradient, sgd] * 2
    assert cost.repetitions == 4


def test_measurements_fill_the_time_and_are_whole_periods() -> None:
    timer = FakeTimer()
    cost = measure(SGDM(), timer, seconds=2.1)
    # A repetition has a seventh, each program a third of it: 0.1 seconds.
    assert cost.num_steps == 30
    # So many steps of 1, 4 and 3 milliseconds: gradients in fours, updates in tens.
    assert {num_steps for _, num_steps in timer.calls[-3:]} == {100, 24, 30}
    slow = measure(SGDM(), FakeTimer(own_seconds=5.0), seconds=2.1)
    assert slow.num_steps == 10


def test_a_clock_that_stands_still_is_survived() -> None:
    cost = measure(SGDM(), FakeTimer(own_seconds=1e-30), seconds=0.1)
    assert cost.num_steps == 1_000_000


def operations(program: StepProgram, num_steps: int) -> float:
    """Return the operations of some steps by XLA's count, in place of seconds."""
    analysis = program._program.cost_analysis()
    assert analysis is not None
    return analysis["flops"] * num_steps


@pytest.mark.slow
def test_what_does_more_costs_more() -> None:
    """Time stands for operations, which are known; real time is not tested."""
    task = Layer(20, 10)
    chains = {f"chain{n}": Chain(products=n) for n in (10, 1, 0)}
    costs = {
        cost.name: cost
        for cost in measure_costs(
            task,
            {"SGD": SGD(), **chains},
            repetitions=2,
            peak_flops_per_second=1e9,
            timer=operations,
        )
    }
    ratios = {name: cost.update_ratio.median for name, cost in costs.items()}
    assert ratios["SGD"] == 1.0
    assert ratios["chain10"] > 5 * ratios["chain1"] > 25 * ratios["chain0"]
    # SGD does five operations for a parameter at most, the sign's among them.
    least = chains["chain10"].flops / (5 * task.num_params)
    assert ratios["chain10"] > 0.9 * least


@pytest.mark.slow
def test_one_that_fails_is_named_and_the_others_go_on() -> None:
    failed: dict[str, str] = {}
    seen: list[str] = []
    costs = measure_costs(
        Layer(20, 10),
        {"broken": Broken(1), "SGD": SGD(), "exploding": Exploding(1), "b": SGDM()},
        repetitions=1,
        peak_flops_per_second=1e9,
        timer=FakeTimer(),
        on_cost=lambda cost: seen.append(cost.name),
        on_failure=lambda name, error: failed.update({name: str(error)}),
    )
    assert [cost.name for cost in costs] == seen == ["SGD", "b"]
    assert failed["broken"] == "no second-order information\nto be had"
    assert "not finite" in failed["exploding"]
    with pytest.raises(RuntimeError, match="no second-order"):
        measure(Broken(1), FakeTimer())


@pytest.mark.parametrize(
    ("seconds", "repetitions"),
    [*itertools.product((0, -1.0, float("nan")), [7]), (1.0, 0), (1.0, 1.5)],
)
def test_wrong_arguments(seconds: float, repetitions: int) -> None:
    with pytest.raises(LoptError, match=r"seconds must|repetitions must"):
        measure(SGDM(), FakeTimer(), seconds, repetitions)
