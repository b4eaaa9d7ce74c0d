"""The page on the command line: its commands run, and its keys are those printed."""

import json
import re
import shlex
from pathlib import Path

import pytest

from tests.baselines.files import write
from tests.cli.running import TASK, lopt_here

PAGE = Path(__file__).parent.parent.parent / "docs" / "command_line.md"
# Each with a name that is listed: making every task takes a while.
LISTS = {
    "lopt tasks": TASK,
    "lopt sets": "AdamLR_1000_R5",
    "lopt optimizers": "Adam",
    "lopt lopts": "LearnableAdam",
    "lopt data list": "mnist",
    "lopt normalize list": "speedup_over_adam",
}


@pytest.mark.slow
def test_every_command_of_the_page_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    assert lines
    for line in lines:
        program, *args = shlex.split(line)
        assert program == "lopt"
        result = lopt_here(*args)
        assert result.returncode == 0, f"{line}\n{result.stderr}"
        if "--json" in args:
            assert json.loads(result.stdout), line


def test_the_keys_on_the_page_are_those_printed():
    rows = re.findall(
        r"^\| `(lopt [a-z ]+)` \| (.*) \|$", PAGE.read_text(), re.MULTILINE
    )
    keys = {name: re.findall(r"`(\w+)`", text) for name, text in rows}
    others = {"lopt normalize show", "lopt status", "lopt plan", "lopt suites"}
    assert set(keys) == {*LISTS, *others}
    for command, name in LISTS.items():
        listed = lopt_here(*command.split()[1:], name, "--json")
        [row] = json.loads(listed.stdout)
        assert list(row) == keys[command]
    [row] = json.loads(
        lopt_here("plan", TASK, "AdamLR_1000_R5", "--quick", "--json").stdout
    )
    assert list(row) == keys["lopt plan"]
    write("Adam_lr0.001", 0, num_steps=1000, task_name=TASK)
    [row] = json.loads(lopt_here("status", "--json").stdout)
    assert set(keys["lopt status"]) <= set(row)
    [row, *_] = json.loads(lopt_here("suites", "laptop*", "--json").stdout)
    # Of one suite it lists the tasks, with a key of their own.
    assert {*row, "tflop_per_trial"} == set(keys["lopt suites"])
    shown = lopt_here("normalize", "show", "speedup_over_adam_10000", "--json")
    [*of_tasks] = json.loads(shown.stdout)
    of_one = lopt_here(
        "normalize", "show", "speedup_over_adam_10000", of_tasks[0]["task"], "--json"
    )
    printed = [*of_tasks[0], *json.loads(of_one.stdout)[0]]
    assert printed == keys["lopt normalize show"]
