"""`lopt report`, `lopt serve` and the kinds of `lopt plot`."""

import os
import re
import signal
import subprocess
import time
import urllib.request

import pytest

from tests.baselines.archives import write_three
from tests.cli.running import LOPT, TASK, lopt_here

SETS = ["AdamLR_1000_R5", "SGDMLR_1000_R5", "LambLR_1000_R5"]


def test_report(tmp_path):
    write_three(TASK)
    output = tmp_path / "report"
    done = lopt_here("report", SETS[0], TASK, *SETS[1:], "-o", str(output))
    assert done.returncode == 0, done.stderr
    assert f"On {TASK} SGDMLR_1000_R5 comes first: final test loss 0.3" in done.stdout
    assert re.search(r"report: \S+/report/index.html \(\d\.\d MB\)", done.stdout)
    assert (output / "index.html").stat().st_size < 3e6


def test_where_no_set_is_named_all_that_are_archived_are_compared(tmp_path):
    names = write_three(TASK)
    result = lopt_here("report", TASK, "-o", str(tmp_path / "report"))
    assert result.returncode == 0, result.stderr
    page = (tmp_path / "report" / "index.html").read_text()
    assert all(name in page for name in names)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (
            [TASK, "AdamLR_1000_R"],
            "suite or set 'AdamLR_1000_R': did you mean",
        ),
        ([], "at least one task and one set"),
        ([TASK, "SGDLR_1000_R5"], "no archive of SGDLR_1000_R5"),
        ([TASK, *SETS, "--reference", "SGDLR_1000_R5"], "reference SGDLR_1000_R5 is"),
        ([TASK, *SETS, "--split", "tset"], "unknown evaluated split 'tset'"),
    ],
)
def test_report_refuses(arguments, problem, tmp_path):
    write_three(TASK)
    output = tmp_path / "report"
    refused = lopt_here("report", *arguments, "-o", str(output))
    assert refused.returncode == 2
    assert problem in refused.stderr
    assert not output.exists()


def test_profile_of_another_reference(tmp_path):
    write_three(TASK)
    figure = tmp_path / "figure.svg"
    common = ("plot", TASK, *SETS, "--kind", "profile", "-o", str(figure))
    done = lopt_here(*common, "--reference", "LambLR_1000_R5")
    assert done.returncode == 0, done.stderr
    refused = lopt_here(*common, "--reference", "X")
    assert "the reference X is none of the sets" in refused.stderr


def test_figures_are_local():
    write_three(TASK)
    refused = lopt_here("plot", TASK, *SETS, "-o", "gs://bucket/figure.svg")
    assert refused.returncode == 2
    assert "figures are drawn to local files" in refused.stderr


@pytest.mark.parametrize("kind", ["sensitivity", "tuning", "profile"])
def test_plot_kinds(kind, tmp_path):
    write_three(TASK)
    figure = tmp_path / "figure.svg"
    done = lopt_here("plot", TASK, *SETS, "--kind", kind, "-o", str(figure))
    assert done.returncode == 0, done.stderr
    assert figure.read_text().startswith("<?xml")


def test_plot_of_two_tasks(tmp_path):
    other = f"{TASK[:-2]}128"
    write_three(TASK)
    write_three(other)
    figure = tmp_path / "figure.png"
    done = lopt_here("plot", TASK, other, *SETS, "-o", str(figure))
    assert done.returncode == 0, done.stderr
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert done.stdout.count("best of each set by final outer_valid loss") == 2


@pytest.mark.slow
def test_serve_until_it_is_stopped():
    write_three(TASK)
    command = [LOPT, "serve", TASK, *SETS, "--port", "0", "--poll-seconds", "0.1"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split(" ")[0]
        with urllib.request.urlopen(url) as answer:
            assert b"SGDMLR_1000_R5 comes first" in answer.read()
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (0, "stopped\n", "")
