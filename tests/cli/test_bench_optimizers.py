"""`lopt bench --optimizers`: what it takes, prints and keeps."""

import functools
import json
from pathlib import Path

import pytest

from learned_optimization.benchmarking import optimizer_timing
from learned_optimization.benchmarking.optimizer_cost import OptimizerCost, load_costs
from learned_optimization.benchmarking.step_programs import StepProgram
from learned_optimization.cli import optimizer_costs
from learned_optimization.optimizers.base import all_optimizers
from tests.cli.running import TASK, lopt_here, refused

MINE = '''
import optax
from learned_optimization.baselines.sets.define import hparam_set
from learned_optimization.optimizers.optax_optimizer import optax_optimizer
from learned_optimization.tasks.registry import own_fixed_task
from tests.tiny import TinyTask


@own_fixed_task
def BenchTiny():
    """A tiny task."""
    task = TinyTask()
    object.__setattr__(task, "_name", "BenchTiny")
    return task


@optax_optimizer
def BenchLion(learning_rate=1e-3):
    """Lion."""
    return optax.lion(learning_rate)


@optax_optimizer
def BenchBroken(learning_rate=1e-3):
    """Fails on this task."""

    def init(params):
        if "w" in params:
            raise RuntimeError("out of order\\nfor good")

    return optax.GradientTransformation(init, lambda grad, state, params: (grad, state))


hparam_set(
    name="BenchLionLR_10_R2",
    optimizer=BenchLion,
    num_steps=10,
    seeds=2,
    space={"learning_rate": [0.5, 0.25]},
)
'''


@pytest.fixture
def mine(tmp_path: Path) -> str:
    path = tmp_path / "mine_bench.py"
    path.write_text(MINE)
    return str(path)


@pytest.fixture(autouse=True)
def fake_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make each program take a microsecond more per step than the one before."""
    programs: list[StepProgram] = []

    def timer(program: StepProgram, num_steps: int) -> float:
        if program not in programs:
            programs.append(program)
        return num_steps * 1e-6 * (1 + programs.index(program))

    monkeypatch.setattr(
        optimizer_timing,
        "measure_costs",
        functools.partial(optimizer_timing.measure_costs, timer=timer),
    )
    monkeypatch.setattr(optimizer_costs, "matmul_peak", lambda: 2e9)
    monkeypatch.setattr(optimizer_costs, "keep_compiled", lambda: None)


def test_table_json_and_what_is_kept(mine: str, tmp_path: Path) -> None:
    file = tmp_path / "costs.json"
    result = lopt_here(
        *("bench", "--optimizers", "SGDM", "BenchTiny", "BenchBroken", "BenchLion"),
        *("--import", mine, "--seconds", "0.1", "--json", str(file)),
    )
    assert result.returncode == 1
    assert (
        "failed: BenchBroken on BenchTiny: out of order\\nfor good\n" in result.stderr
    )
    assert "1 of 3: BenchTiny SGDM, an update 3 µs" in result.stderr
    assert "BenchTiny: 6 parameters, a gradient takes 2 µs" in result.stdout
    lines = [line for line in result.stdout.splitlines() if line.startswith("│")]
    assert [line.split()[1] for line in lines] == ["SGDM", "BenchLion"]
    for shown in ("3 µs", "±0%", "3.0", "60%", "1.67", "4.7 B"):
        assert shown in lines[0]
    found = json.loads(file.read_text())
    assert found.keys() == {
        "device",
        "cores",
        "jax",
        "peak_gflops",
        "costs",
        "failures",
    }
    assert found["peak_gflops"] == 2.0
    [failure] = found["failures"]
    assert failure == {
        "task": "BenchTiny",
        "name": "BenchBroken",
        "reason": "out of order\\nfor good",
    }
    kept = {cost.name: cost for cost in load_costs("BenchTiny")}
    assert set(kept) == {"SGDM", "BenchLion"}
    for row in found["costs"]:
        assert row == json.loads(json.dumps(kept[row["name"]].as_json()))
        assert row["measured"].endswith("+00:00")


def test_sets_are_measured_at_their_first_setting(mine: str) -> None:
    result = lopt_here(
        "bench", "--optimizers", "BenchTiny", "--set", mine, "--seconds", "0.1"
    )
    assert result.returncode == 0, result.stderr
    [cost] = load_costs("BenchTiny")
    assert (cost.name, cost.setting) == ("BenchLionLR_10_R2", "BenchLion_lr0.5")


def chosen_by(monkeypatch: pytest.MonkeyPatch, *args: str) -> tuple[list[str], dict]:
    seen: list = []

    def measure(task, optimizers, seconds, **others) -> list[OptimizerCost]:
        seen.append((task.name, {n: opt.name for n, opt in optimizers.items()}))
        return []

    monkeypatch.setattr(optimizer_timing, "measure_costs", measure)
    result = lopt_here("bench", "--optimizers", *args)
    assert result.returncode == 0, result.stderr
    return [task for task, _ in seen], seen[0][1]


def test_every_optimizer_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks, optimizers = chosen_by(monkeypatch)
    assert tasks == [TASK]
    assert list(optimizers) == list(all_optimizers())


def test_patterns_sets_and_several_tasks(
    monkeypatch: pytest.MonkeyPatch, mine: str
) -> None:
    names = ("AdamLR_10000_R5", TASK, "Ada*W", "BenchTiny")
    tasks, optimizers = chosen_by(monkeypatch, *names, "--import", mine)
    assert tasks == [TASK, "BenchTiny"]
    assert list(optimizers) == ["AdamLR_10000_R5", "AdamW"]
    assert optimizers["AdamLR_10000_R5"].startswith("Adam_lr3e-07_")


def test_wrong_arguments() -> None:
    message = refused(lopt_here("bench", "--optimizers", "Adma"))
    assert "unknown optimizer, set or task 'Adma': did you mean Adam" in message
    message = refused(lopt_here("bench", "--optimizers", "Xyz*"))
    assert "unknown optimizer 'Xyz*'" in message
    for option in (["--trials", "1"], ["--profile"], ["--plot", "a.png"]):
        message = refused(lopt_here("bench", "--optimizers", *option))
        assert "leave out --trials, --profile and --plot" in message
    message = refused(lopt_here("bench", "--checkpoint", "a=b"))
    assert "--checkpoint goes with --optimizers" in message
