"""Progress: a bar on a terminal; a line now and then where every refresh is kept."""

import itertools
import os
import pty
import re
import select
import subprocess
import sys
from typing import Any

import pytest

from learned_optimization.baselines.sweeps.counting import CountingObserver, NowAndThen
from learned_optimization.baselines.sweeps.grids import TrialGrid
from learned_optimization.baselines.sweeps.sweep import set_trials
from learned_optimization.cli.progress import ProgressBar
from learned_optimization.cli.tables import Console, is_live
from learned_optimization.eval_training import Progress, Strategy
from tests.cli.running import TASK
from tests.tiny import tiny_set


class Clock:
    """Seconds that a test lets pass."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def a_grid() -> TrialGrid:
    return TrialGrid([[trial] for trial in set_trials("TinyRegression", tiny_set())])


def progress(done: int, seconds: float = 2.0, diverged: int = 0) -> Progress:
    return Progress(done, 20, 9, 1, diverged, seconds, 0.5, Strategy(9))


def test_lines_come_ever_more_seldom() -> None:
    clock, said = Clock(), []
    tell = NowAndThen(said.append, clock)
    for second in range(4 * 3600):
        clock.now = 100.0 + second
        tell(lambda second=second: str(second))
    times = list(map(int, said))
    # 30 s, then twice as long each time, at most ten minutes.
    assert times[:6] == [30, 90, 210, 450, 930, 1530]
    assert {b - a for a, b in itertools.pairwise(times[5:])} == {600}


def test_what_is_counted() -> None:
    observer, grid = CountingObserver(), a_grid()
    observer.started(18, 9, 9 * 21)
    observer.progressed(grid, progress(7, diverged=2))
    assert (observer.done, observer.rate, observer.num_diverged) == (63, 31.5, 2)
    assert re.fullmatch(
        r"SGD on TinyRegression: 33% of 189 trial-steps, 32 trial-steps/s, "
        r"2 diverged, \d+ s",
        observer.line(),
    )
    observer.finished(grid, 3)
    assert (observer.done, observer.num_diverged) == (189, 3)
    # A race begins again at each look.
    observer.started(18, 18, 0)
    assert (observer.done, observer.total) == (0, 1)


@pytest.mark.parametrize(
    ("is_terminal", "variables", "live"),
    [
        (False, {}, False),
        (True, {}, True),
        # As ipykernel sets it, for what its cells start too.
        (True, {"JPY_PARENT_PID": "1"}, False),
    ],
)
def test_where_a_bar_can_be_drawn(
    is_terminal: bool,
    variables: dict[str, str],
    live: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("JPY_PARENT_PID", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert is_live(Console(force_terminal=is_terminal)) is live


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what says how late it is, where lines are printed now and then."""
    clock: Any = Clock()
    monkeypatch.setattr(
        "learned_optimization.cli.progress.NowAndThen",
        lambda say: NowAndThen(say, clock),
    )
    return clock


def test_without_a_terminal_lines_are_printed(
    capsys: pytest.CaptureFixture[str], clock: Any
) -> None:
    grid = a_grid()
    with ProgressBar() as bar:
        bar.started(9, 0, 9 * 21)
        for second in range(100):
            clock.now = 100.0 + second
            bar.progressed(grid, progress(second // 5))
        bar.finished(grid, 3)
    lines = capsys.readouterr().err.splitlines()
    assert [re.sub(r"\d+ s$", "0 s", line) for line in lines] == [
        "SGD on TinyRegression: 29% of 189 trial-steps, 27 trial-steps/s, 0 diverged, "
        "0 s",
        "SGD on TinyRegression: 86% of 189 trial-steps, 81 trial-steps/s, 0 diverged, "
        "0 s",
        "SGD on TinyRegression: 9 trials done, 3 diverged, 0 s",
    ]


def test_trials_by_themselves_have_no_line_each(
    capsys: pytest.CaptureFixture[str], clock: Any
) -> None:
    alone = [TrialGrid([[trial]]) for [trial] in a_grid().rows]
    with ProgressBar() as bar:
        bar.started(9, 0, 9 * 21)
        for second, grid in enumerate(alone):
            clock.now = 100.0 + 10.0 * second
            bar.finished(grid, 0)
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("compiling: 44% of 189 trial-steps")


def printed_on_a_terminal(arguments: list[str], **variables: str) -> str:
    """Run a command on a pseudo-terminal, as `!lopt` in a cell does."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "learned_optimization.cli.main", *arguments],
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm-color", **variables},
    )
    os.close(theirs)
    parts = []
    while select.select([ours], [], [], 120)[0]:
        try:
            parts.append(os.read(ours, 65536))
        except OSError:
            # Linux says so where the other end is closed.
            break
        if not parts[-1]:
            break
    os.close(ours)
    assert process.wait() == 0, b"".join(parts)
    return b"".join(parts).decode()


@pytest.mark.slow
def test_a_cell_of_a_notebook_keeps_no_refreshes(tmp_path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(
        "name: Own_300_R2\noptimizer: Adam\nnum_steps: 300\nseeds: 2\n"
        "space: {learning_rate: [0.001, 0.01]}\n"
    )
    command = ["sweep", TASK, "--set", str(file), "--no-archive"]
    kept = printed_on_a_terminal(command, JPY_PARENT_PID="1")
    assert "4 trials run, 0 had results" in kept
    # A bar moves the cursor up, or to the beginning of the line, to draw over itself.
    assert not re.search(r"\x1b\[\d*[AKFG]|\x1b\[\?25|\r(?!\n)", kept)
    assert len(kept.splitlines()) < 12
    drawn = printed_on_a_terminal(
        ["sweep", TASK, "SGDLR_1000_R5", "--no-archive", "--shard", "1/35"]
    )
    assert re.search(r"\x1b\[\?25", drawn)
