"""`lopt release`: what is printed, and what is refused."""

import json

import pytest

from learned_optimization.baselines.release.manifest import read_manifest
from tests.baselines.archives import write_three
from tests.baselines.release.trained import find_releases
from tests.cli.running import lopt_here, refused

TASKS = ("ImageMLP_FashionMnist8_Relu32", "NoisyQuadratic_100dim_condition1000")


@pytest.fixture
def built(tmp_path, monkeypatch):
    """A release of three sets on two tasks, with nothing of one's own left."""
    [names, _] = [write_three(task) for task in TASKS]
    folder = tmp_path / "r"
    result = lopt_here("release", "build", *TASKS, *names, "--out", str(folder))
    assert result.returncode == 0, result.stderr
    assert "r: 6 archives, 90 trials" in result.stdout
    monkeypatch.setenv("LOPT_BASELINE_ARCHIVES_DIR", str(tmp_path / "none"))
    find_releases(monkeypatch, tmp_path / "packaged")
    return folder


def test_a_release_is_built_fetched_listed_and_read(built, tmp_path):
    manifest = read_manifest(str(built))
    assert manifest.command.startswith(f"lopt release build {TASKS[0]} {TASKS[1]} Adam")
    nothing = lopt_here("release", "list")
    assert "no releases here" in nothing.stdout
    offered = json.loads(lopt_here("release", "list", str(built), "--json").stdout)
    assert {"task": TASKS[0], "set": "AdamLR_1000_R5"} in offered
    assert len(offered) == 6
    fetched = lopt_here("release", "fetch", str(built), TASKS[0])
    assert "3 archives fetched, 0 were there" in fetched.stdout
    fetched = lopt_here("release", "fetch", str(built))
    assert "3 archives fetched, 3 were there" in fetched.stdout
    [row] = json.loads(lopt_here("release", "list", "--json").stdout)
    assert (row["name"], row["tasks"], row["archives"], row["thin"]) == ("r", 2, 6, 6)
    assert row["trials"] == 90
    table = lopt_here("release", "list").stdout
    assert "90" in table
    report = lopt_here("report", *TASKS, "-o", str(tmp_path / "report"))
    assert report.returncode == 0, report.stderr
    assert "SGDMLR_1000_R5 comes first" in report.stdout
    page = (tmp_path / "report" / "index.html").read_text()
    assert "25 of 101 evaluations" in page


def test_verifying(built):
    result = lopt_here("release", "verify", str(built))
    assert result.returncode == 1
    # Nobody trained these: their configurations are three, and the sets' fourteen.
    assert "6 archives are bad" in result.stdout
    assert "its configurations are not those of AdamLR_1000_R5" in result.stderr
    assert "unknown release 'q'" in refused(lopt_here("release", "verify", "q"))


def test_refusals(built):
    assert "did you mean laptop" in refused(
        lopt_here("release", "build", "laptp", "--all", "--out", "o")
    )
    assert "one suite" in refused(
        lopt_here("release", "build", "laptop", "AdamLR_1000_R5", "--all", "--out", "o")
    )
    assert "did you mean AdamLR_1000_R5" in refused(
        lopt_here("release", "fetch", str(built), "AdamLR_1000_R6")
    )
    assert "no manifest" in refused(lopt_here("release", "list", "memory://nowhere"))
