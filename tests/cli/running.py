"""The commands as a person runs them, and what a refusal must look like.

A process of its own takes seconds to start; where only what is said matters, the
same entry point is called in the process of the test.
"""

import io
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest import mock

from learned_optimization.baselines import run_trainer as trainer_module
from learned_optimization.baselines import utils
from learned_optimization.cli.main import main

LOPT = Path(sys.executable).parent / "lopt"
TASK = "ImageMLP_FashionMnist8_Relu32"
TRAINER = "learned_optimization.baselines.run_trainer"


def _run(command: list[str], env: dict[str, str]) -> subprocess.CompletedProcess:
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, **env},
    )


def lopt(*args: str, **env: str) -> subprocess.CompletedProcess:
    return _run([str(LOPT), *args], env)


def run_trainer(*args: str, **env: str) -> subprocess.CompletedProcess:
    return _run([sys.executable, "-m", TRAINER, *args], env)


def _call(
    entry: Callable[[], int | None], args: tuple[str, ...]
) -> subprocess.CompletedProcess:
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["lopt", *args]),
        mock.patch.object(warnings, "formatwarning", warnings.formatwarning),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            code = entry()
        except SystemExit as end:
            code = end.code
    assert code is None or isinstance(code, int)
    return subprocess.CompletedProcess(
        list(args), code or 0, out.getvalue(), err.getvalue()
    )


def lopt_here(*args: str) -> subprocess.CompletedProcess:
    return _call(main, args)


def run_trainer_here(*args: str) -> subprocess.CompletedProcess:
    return _call(trainer_module.main, args)


def refused(result: subprocess.CompletedProcess) -> str:
    """Return the one line of a refusal, after checking that it is one."""
    assert result.returncode == 2, result
    assert result.stdout == ""
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("error: ")
    for root in (utils.get_root_baseline_dir(), utils.get_baseline_archive_rootdir()):
        assert not [p for p in Path(root).rglob("*") if p.is_file()]
    return lines[0]
