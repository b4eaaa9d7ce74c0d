"""The table of commands, and what is imported when."""

import inspect
import subprocess
import sys
from importlib import import_module

import pytest

from learned_optimization.cli.commands import COMMANDS, Command, Group
from learned_optimization.cli.lazy import load
from tests.cli.running import TASK, lopt_here, refused

GROUPS = {name: e.commands for name, e in COMMANDS.items() if isinstance(e, Group)}
ALL = {
    **{name: e for name, e in COMMANDS.items() if isinstance(e, Command)},
    **{
        f"{g} {name}": c
        for g, commands in GROUPS.items()
        for name, c in commands.items()
    },
}


def test_the_help_of_every_command_is_its_docstring():
    for name, command in ALL.items():
        module, _, function = command.function.partition(":")
        imported = import_module(f"learned_optimization.cli.{module}")
        doc = inspect.getdoc(getattr(imported, function))
        assert doc is not None, name
        assert doc.partition("\n")[0] == command.summary, name


def run_and_list_modules(*args: str) -> tuple[str, set[str]]:
    """Return what a command prints in a process of its own, and what it imports."""
    code = (
        "import sys\nfrom learned_optimization.cli.main import main\n"
        "try:\n    main()\n"
        "finally:\n    print(*sys.modules, sep='\\n', file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *args], capture_output=True, text=True, check=True
    )
    return done.stdout, set(done.stderr.split())


@pytest.mark.parametrize("command", ["", "data", "normalize"])
def test_help_imports_no_jax(command):
    printed, modules = run_and_list_modules(*command.split(), "--help")
    listed = GROUPS[command] if command else COMMANDS
    for name, entry in listed.items():
        row = next(r for r in printed.splitlines() if r.startswith(f"│ {name} "))
        assert entry.summary[:20] in row
    assert not {"jax", "numpy", "matplotlib", "fsspec", "gin"} & modules


@pytest.mark.parametrize("command", ["sets SGDLR_1000_R5", "data list", "status"])
def test_lists_that_need_no_jax_import_none(command):
    printed, modules = run_and_list_modules(*command.split())
    assert printed
    assert not {"jax", "matplotlib"} & modules


def test_every_command_takes_v_and_says_what_its_options_mean():
    for name, command in ALL.items():
        loaded = load(name, command)
        options = {o: p for p in loaded.params for o in p.opts}
        assert "-v" in options, name
        for option, parameter in options.items():
            text = getattr(parameter, "help", None)
            assert text, f"{name} {option}"
            assert text.endswith("."), f"{name} {option}: {text}"
            assert not text[0].islower(), f"{name} {option}: {text}"


def test_with_v_an_error_says_where_it_arose():
    said = refused(lopt_here("tasks", "Nowhere"))
    result = lopt_here("tasks", "Nowhere", "-v")
    assert (result.returncode, result.stdout) == (2, "")
    *trace, last = result.stderr.strip().splitlines()
    assert last == said
    assert trace[0] == "Traceback (most recent call last):"
    assert any("learned_optimization/cli/choosing.py" in line for line in trace)
    for command in (("sweep", TASK), ("status", "Nowhere")):
        assert "Traceback" in lopt_here(*command, "-v").stderr
        assert "Traceback" not in lopt_here(*command).stderr


def test_a_misspelt_command_gets_the_nearest():
    result = lopt_here("swep", TASK)
    assert result.returncode == 2
    assert "Did you mean 'sweep'?" in result.stderr
    assert "Did you mean 'list'?" in lopt_here("data", "lst").stderr
