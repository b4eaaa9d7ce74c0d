"""`lopt plan`: rows as they are known, in columns that hold them; or as JSON."""

import json
import re

import pytest

from learned_optimization.baselines.sweeps import planning
from learned_optimization.baselines.sweeps.grids import TrialGrid
from learned_optimization.cli.plan import _peak_flops
from learned_optimization.cli.tables import Console, GrowingTable
from learned_optimization.errors import LoptError
from learned_optimization.training.results import Measurement
from learned_optimization.training.strategy import Strategy
from tests.cli.running import TASK, lopt, lopt_here, refused

SETS = ("AdamLR_1000_R5", "AdamLR_10000_R5", "SGDLR_10000_R5")


@pytest.fixture
def measured(monkeypatch) -> list[str]:
    """Return the optimizers measured, each of which takes 30 seconds."""
    names: list[str] = []

    def measure(grid: TrialGrid, seconds: float, at_end: bool) -> Measurement:
        names.append(grid.first.opt.defined_by.__name__)
        return Measurement(Strategy(1), 0.001 * seconds, 700, 1.0 * at_end, 2.0)

    monkeypatch.setattr(TrialGrid, "measure", measure)
    monkeypatch.setattr(planning, "_now", lambda: 30.0 * len(names))
    return names


def cells(output: str) -> list[list[str]]:
    rows = [line for line in output.splitlines() if line.startswith("│")]
    return [[cell.strip() for cell in row.strip("│").split("│")] for row in rows]


@pytest.mark.slow
def test_without_measuring():
    plan = lopt("plan", TASK, "AdamLR_10000_R5", "SGDLR_10000_R5", "--seconds", "0")
    assert plan.returncode == 0, plan.stderr
    *rows, everything = cells(plan.stdout)
    assert [c[1:5] for c in rows] == [
        [name, "70", "70", "700,070"] for name in ("AdamLR_10000_R5", "SGDLR_10000_R5")
    ]
    # 70 trials of 10,001 steps of 1.3 MFLOP and 1,001 evaluations of 9.1 MFLOP.
    assert all(float(c[5]) == pytest.approx(1.54, abs=0.01) for c in rows)
    assert [c[6] for c in rows] == ["", ""]
    assert everything[:4] == ["all", "", "140", "140"]


def test_rows_that_were_not_measured_are_marked(measured):
    plan = lopt_here("plan", TASK, *SETS)
    assert (plan.returncode, plan.stderr) == (0, ""), plan
    assert measured == ["Adam"]
    # 1,001 evaluations and what follows each, at the end 1 s more, and compiling, which
    # the first two share.
    assert [row[6] for row in cells(plan.stdout)] == [
        "3.1 s",
        "2.0 s",
        "~4.0 s",
        "~9.1 s",
    ]
    last = plan.stdout.splitlines()[-1]
    assert last.startswith("~ not measured: ")
    assert "The same command goes on." in last
    # The next plan does.
    assert "~" not in lopt_here("plan", TASK, *SETS).stdout
    assert measured == ["Adam", "SGD"]


def test_quick_answers_from_what_is_recorded(measured):
    unknown = lopt_here("plan", TASK, *SETS, "--quick")
    assert [row[6] for row in cells(unknown.stdout)] == [""] * 4
    assert "no time is known of 3 of 3 rows" in unknown.stdout
    lopt_here("plan", TASK, *SETS)
    quick = lopt_here("plan", TASK, *SETS, "--quick")
    assert [row[6] for row in cells(quick.stdout)][:3] == ["3.1 s", "2.0 s", "~4.0 s"]
    assert "~ not recorded: " in quick.stdout
    assert measured == ["Adam"]


def test_json_is_in_the_order_of_the_names(measured):
    plan = lopt_here("plan", TASK, SETS[2], SETS[0], "--seconds", "2", "--json")
    assert (plan.returncode, plan.stderr) == (0, ""), plan
    first, second = json.loads(plan.stdout)
    assert [first["set"], second["set"]] == [SETS[2], SETS[0]]
    assert (first["is_rough"], second["is_rough"]) == (False, True)
    assert second == {
        "task": TASK,
        "set": "AdamLR_1000_R5",
        "trials": 70,
        "to_run": 70,
        "steps": 70_070,
        "flops": second["flops"],
        "seconds": pytest.approx(3.2, abs=0.02),
        "is_rough": True,
        "result_bytes": second["result_bytes"],
    }
    untimed = lopt_here("plan", TASK, SETS[0], "--seconds", "0", "--json")
    assert json.loads(untimed.stdout)[0]["seconds"] is None


def test_other_devices_take_their_share(measured, monkeypatch):
    monkeypatch.setattr("learned_optimization.cli.plan.matmul_peak", lambda: 1e12)
    args = ("plan", TASK, SETS[1], "--device", "a=1000", "--device", "b=500x2")
    there = re.search(r"a=1000, b=500x2: 2\.0 s together", lopt_here(*args).stdout)
    assert there
    assert there[0] in lopt_here(*args, "--quick").stdout
    assert measured == ["Adam"]


@pytest.mark.parametrize("wrong", ["h100", "h100=fast", "h100=0", "h100=5x"])
def test_devices_are_checked(wrong):
    with pytest.raises(LoptError, match=re.escape(f"h100=60000x8, got {wrong!r}")):
        _peak_flops(wrong)
    assert _peak_flops("h100=60000x8") == 480e12


@pytest.mark.parametrize(
    ("option", "says"),
    [
        (("--seconds", "0"), "needs --seconds above 0"),
        (("--json",), "leave out --device"),
    ],
)
def test_what_devices_do_not_go_with(option, says):
    command = ("plan", TASK, "AdamLR_1000_R5", "--device", "a=1", *option)
    assert says in refused(lopt_here(*command))


def test_missing_data_is_said_before_the_table():
    message = refused(lopt_here("plan", "ImageMLP_Cifar10_8_Relu32", SETS[0]))
    assert "lopt data prepare" in message


@pytest.mark.parametrize("width", [20, 40, 200])
def test_a_growing_table_has_one_width(width):
    out = Console(width=width, record=True, quiet=False)
    samples = [("a long name of a task", "1,000,000"), ("b", "1")]
    with out.capture() as capture:
        table = GrowingTable(out, {"name": False, "number": True}, samples)
        table.add_row(*samples[1])
        table.add_row(*samples[0])
        table.close("all\n", "2")
    lines = capture.get().splitlines()
    assert len({len(line) for line in lines}) == 1
    assert len(lines[0]) <= width
    letters = re.sub(r"[\W_]", "", "".join(c[0] for c in cells("\n".join(lines))))
    assert letters == "balongnameofatasalln" or "balongnameofatask" in letters
    assert [line[0] for line in lines if line[0] in "┏┡├└"] == ["┏", "┡", "├", "└"]
