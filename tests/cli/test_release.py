"""`lopt release`: what is printed, and what is refused."""

import hashlib
import json
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import typer

from learned_optimization.baselines import utils
from learned_optimization.baselines.release.manifest import (
    Manifest,
    read_manifest,
    write_manifest,
)
from learned_optimization.baselines.release.packing import pack, unpack
from learned_optimization.baselines.sets.registry import get_hparam_set
from learned_optimization.cli import release_build
from tests.baselines.archives import write_of_set
from tests.baselines.release.trained import find_releases
from tests.cli.running import lopt_here, refused

TASKS = ("ImageMLP_FashionMnist8_Relu32", "NoisyQuadratic_100dim_condition1000")
BEST = {"AdamLR_1000_R5": 0.5, "SGDMLR_1000_R5": 0.3, "LambLR_1000_R5": 0.6}


def write_own() -> None:
    """Write archives of three sets on two tasks."""
    for task in TASKS:
        for name, best in BEST.items():
            write_of_set(task, get_hparam_set(name), best)


@pytest.fixture
def built(tmp_path, monkeypatch):
    """A release of three sets on two tasks, with nothing of one's own left."""
    write_own()
    folder = tmp_path / "r"
    result = lopt_here("release", "build", *TASKS, *BEST, "--out", str(folder))
    assert result.returncode == 0, result.stderr
    assert "r: 6 archives, 420 trials" in result.stdout
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
    assert row["trials"] == 420
    table = lopt_here("release", "list").stdout
    assert "420" in table
    for name in ("r", "release:r"):
        own = json.loads(lopt_here("release", "list", name, "--json").stdout)
        assert own == offered
    error = refused(lopt_here("release", "list", "release:q"))
    assert "unknown release 'q': known: r" in error
    report = lopt_here("report", *TASKS, "-o", str(tmp_path / "report"))
    assert report.returncode == 0, report.stderr
    assert "SGDMLR_1000_R5 comes first" in report.stdout
    page = (tmp_path / "report" / "index.html").read_text()
    assert "25 of 101 evaluations" in page


def test_verifying(built):
    result = lopt_here("release", "verify", str(built))
    assert result.returncode == 0
    first, last = result.stdout.splitlines()
    assert first == f"release r, {built}"
    assert "0 archives are bad" in last
    file = built / TASKS[0] / "AdamLR_1000_R5.npz.xz"
    file.write_bytes(file.read_bytes() + b"x")
    result = lopt_here("release", "verify", str(built), "--retrain", "400")
    assert result.returncode == 1
    assert "1 archives are bad" in result.stdout
    bad, few = result.stderr.splitlines()
    assert bad.startswith(f"error: AdamLR_1000_R5 on {TASKS[0]}: cannot read {file}")
    assert few.startswith("error: r has 350 trials that can be read, and 400")
    assert "unknown release 'q'" in refused(lopt_here("release", "verify", "q"))


def test_where_no_release_is_used_that_is_said(built, tmp_path, monkeypatch):
    assert lopt_here("release", "fetch", str(built)).returncode == 0
    (built / "manifest.json").unlink()
    error = refused(lopt_here("release", "verify", str(built)))
    assert f"{built} has no manifest.json, so it is no release: name" in error
    monkeypatch.setenv("LOPT_NO_RELEASES", "1")
    off = "LOPT_NO_RELEASES is 1, unset it"
    assert f"no releases here; {off}" in lopt_here("release", "list").stdout
    error = refused(lopt_here("release", "verify", "release:r"))
    assert f"there is no release r: {off}" in error
    assert off in refused(lopt_here("release", "verify"))


def test_an_archive_is_not_executed(built, tmp_path, monkeypatch):
    """Not even where it is told to: what it imports lies beside it."""
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "hostile.py").write_text("raise SystemExit(7)\n")
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    path = built / TASKS[0] / "AdamLR_1000_R5.npz.xz"
    manifest = read_manifest(str(built))
    archive = manifest.of(TASKS[0], "AdamLR_1000_R5")
    assert archive is not None
    arrays = unpack(path.read_bytes(), str(path))
    said = {"gin_operative_config": "import hostile\n", "opt_config": "Adam"}
    said["task_name"] = TASKS[0]
    shape = arrays["seed"].shape
    arrays |= {k: np.full(shape, v) for k, v in said.items()}
    arrays |= {"train/xs": arrays["eval/xs"], "train/loss": arrays["eval/train/loss"]}
    content = pack(arrays)
    path.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    line = replace(archive, sha256=digest, num_bytes=len(content))
    write_manifest(str(built), replace(manifest, archives=(line,)))
    result = lopt_here("release", "verify", str(built), "--retrain", "1")
    assert result.returncode == 1
    assert "cannot be replayed from the gin configuration it records" in result.stdout
    assert "hostile" not in sys.modules


def test_what_cannot_be_trained_again_is_counted_by_itself(built):
    # What the archives record makes no trial: nobody trained them.
    result = lopt_here("release", "verify", str(built), "--retrain", "2")
    assert result.returncode == 1
    assert "could not be trained: " in result.stdout
    summary = result.stdout.splitlines()[-1]
    assert (
        "0 of 2 trials trained again are the same, 2 could not be trained;" in summary
    )
    assert "difference" not in summary


def test_a_name_of_a_release_and_of_a_folder_is_refused(built, tmp_path, monkeypatch):
    assert lopt_here("release", "fetch", str(built)).returncode == 0
    fetched = tmp_path / "data" / "releases" / "r"
    # Elsewhere it is that of the release.
    result = lopt_here("release", "verify", "r")
    assert result.stdout.startswith(f"release r, {fetched}\n")
    monkeypatch.chdir(tmp_path)
    error = refused(lopt_here("release", "verify", "r"))
    assert f"({fetched}) and also a folder with one, {built}: say release:r" in error
    for name, where in (("release:r", fetched), ("./r", built)):
        result = lopt_here("release", "verify", name)
        assert result.returncode == 0
        assert result.stdout.startswith(f"release r, {where}\n")
    error = refused(lopt_here("release", "verify", "release:q"))
    assert "unknown release 'q': known: r" in error
    # A folder without a release is none to be taken for one, and one is itself.
    (built / "manifest.json").unlink()
    assert lopt_here("release", "verify", "r").returncode == 0
    monkeypatch.chdir(fetched.parent)
    assert lopt_here("release", "verify", "r").returncode == 0


def test_one_that_cannot_be_built_is_said_at_the_end(tmp_path):
    write_own()
    path = Path(utils.get_baseline_archive_path(TASKS[0], "SGDMLR_1000_R5"))
    path.write_bytes(b"half of one")
    folder = tmp_path / "r"
    result = lopt_here("release", "build", TASKS[0], *BEST, "--out", str(folder))
    assert result.returncode == 1
    assert "r: 2 archives" in result.stdout
    [error] = result.stderr.splitlines()
    assert error.startswith(f"error: SGDMLR_1000_R5 on {TASKS[0]}: cannot read {path}")


def test_one_whose_trials_fail_does_not_stop_the_build(tmp_path, monkeypatch):
    write_own()
    for name in ("AdamLR_1000_R5", "SGDMLR_1000_R5"):
        Path(utils.get_baseline_archive_path(TASKS[0], name)).unlink()
    ends = iter([1, 130])

    def fail(*args, **kwargs):
        raise typer.Exit(next(ends))

    monkeypatch.setattr(release_build, "run_and_archive", fail)
    folder = tmp_path / "r"
    command = ("release", "build", TASKS[0], "--out", str(folder))
    sets = ("LambLR_1000_R5", "AdamLR_1000_R5", "SGDMLR_1000_R5")
    result = lopt_here(*command, *sets)
    # That of the second was stopped.
    assert result.returncode == 130
    assert len(read_manifest(str(folder)).archives) == 1
    assert f"AdamLR_1000_R5 on {TASKS[0]}: trials of it failed" in result.stderr


MINE = """
from learned_optimization.baselines.user_sets import hparam_set

hparam_set(
    name="Mine_20_R1", optimizer="SGD", space={"learning_rate": [0.1]},
    num_steps=20, seeds=1,
)
"""


def test_commands_say_what_a_set_of_ones_own_is_made_of(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("my sets.py").write_text(MINE)
    Path("other.py").touch()
    given = ["--set", "my sets.py", "--import", "other.py"]
    result = lopt_here("release", "build", TASKS[0], *given, "--out", "r")
    assert result.returncode == 0, result.stderr
    manifest = read_manifest("r")
    options = shlex.join(given)
    assert manifest.command == f"lopt release build {TASKS[0]} --out r {options}"
    [archive] = manifest.archives
    assert archive.command == f"lopt sweep {TASKS[0]} Mine_20_R1 {options}"
    # It is one that works.
    again = lopt_here(*shlex.split(archive.command)[1:])
    assert "0 trials run, 1 had results" in again.stdout


def test_commands_say_where_a_checkpoint_is(tmp_path, monkeypatch):
    given = []
    monkeypatch.setattr(
        release_build.building, "build", lambda *a: given.append(a) or Manifest("r")
    )
    params = tmp_path / "params"
    params.touch()
    result = lopt_here(
        *("release", "build", TASKS[0], "LOpt_1000_R5", "--out", str(tmp_path / "r")),
        *("--checkpoint", f"mine=LearnableAdam@{params}"),
    )
    assert result.returncode == 0, result.stderr
    [(pairs, _, _, command, options, *_)] = given
    assert [s.name for _, s in pairs] == ["mine_LOpt_1000_R5"]
    assert options == ["--checkpoint", f"mine=LearnableAdam@{params}"]
    assert command.endswith(shlex.join(options))


def test_names_are_of_what_is_offered(built):
    path = built / "manifest.json"
    path.write_text(path.read_text().replace(f'"task": "{TASKS[1]}"', '"task": "Mine"'))
    result = lopt_here("release", "list", str(built), "Mine", "laptop", "--json")
    tasks = {row["task"] for row in json.loads(result.stdout)}
    assert tasks == {"Mine", TASKS[0]}
    result = lopt_here("release", "fetch", str(built), "Mine", "AdamLR_1000_R5")
    assert "1 archives fetched" in result.stdout
    for command in ("list", "fetch"):
        error = refused(lopt_here("release", command, str(built), "Mein"))
        assert "unknown task, suite or set 'Mein': did you mean Mine" in error


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
    assert (
        "cannot be called 'my release': choose a name (--name) of letters"
        in refused(
            lopt_here(
                "release", "build", *TASKS, "AdamLR_1000_R5", "--out", "my release"
            )
        )
    )
    assert "no such file: nowhere.py" in refused(
        lopt_here(
            *("release", "build", "laptop", "--all", "--out", "o"),
            *("--import", "nowhere.py"),
        )
    )


def test_verifying_all_fails_where_a_manifest_is_damaged(built):
    assert lopt_here("release", "fetch", str(built)).returncode == 0
    assert lopt_here("release", "fetch", str(built), "--name", "other").returncode == 0
    whole = lopt_here("release", "verify")
    assert whole.returncode == 0, whole.stderr
    [row, _] = json.loads(lopt_here("release", "list", "--json").stdout)
    (Path(row["where"]) / "manifest.json").write_text("{}")
    with pytest.warns(UserWarning, match="a release is left out"):
        result = lopt_here("release", "verify")
    assert result.returncode == 1
    assert f"error: cannot read {row['where']}/manifest.json" in result.stderr
    assert "0 archives are bad" in result.stdout
