"""`lopt challenge`: from a file of one's own to a sentence."""

import json
from pathlib import Path

import pytest

from tests.baselines.suites.test_challengers import OWN
from tests.cli.running import TASK, lopt, lopt_here, refused

QUADRATIC = "NoisyQuadratic_100dim_condition1000"
SUITE = f"suites:\n  - {{name: brief, tasks: [{TASK}, {QUADRATIC}], num_steps: 20}}\n"
AGAINST = ("--against", "Adam", "--against", "SGDMCosine")


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("brief.yaml").write_text(SUITE)
    Path("challenger.py").write_text(OWN.format(name="Challenger"))


def challenge(*args):
    return lopt(
        *("challenge", "challenger.py", "--set", "brief.yaml", "--suite", "brief"),
        *(*AGAINST, *args),
    )


def refusal(done):
    """Return the only line of a refusal, where there are results already."""
    assert (done.returncode, done.stdout) == (2, "")
    [line] = done.stderr.splitlines()
    return line


@pytest.mark.slow
def test_from_a_file_to_a_sentence():
    done = challenge()
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == (
        "brief: 2 tasks, 20 steps; ChallengerLR_20_R5 against 2 baselines, of which 0 "
        "are trained already"
    )
    assert "420 trials run, 0 had results" in done.stdout
    # The ranking has all three, with what a step costs.
    ranking = done.stdout[done.stdout.index("ranking over 2 tasks") :]
    for name in ("> Challenger", "Adam", "SGDMCosine"):
        assert name in ranking
    assert " 4 B" in ranking or " 8 B" in ranking
    assert lines[-1].startswith("Over 2 tasks Challenger is ")
    assert lines[-1].endswith("; all were tuned alike (14 configurations each).")
    written = {path.name for path in Path("challenge").iterdir()}
    assert written >= {"index.html", "curves.pdf", "table.tex", "results.json"}
    assert Path("challenge/curves.pdf").read_bytes().startswith(b"%PDF")
    assert "ChallengerLR_20_R5" in Path("challenge/index.html").read_text()

    # The same command finds everything, whatever is said in comments; with --json
    # nothing else is printed.
    text = Path("challenger.py").read_text()
    Path("challenger.py").write_text(f"# The same.\n{text}")
    # What was stopped before it was archived is trained all the same.
    [archive] = Path("archives", TASK).glob("SGDMCosine*.npz")
    archive.unlink()
    again = challenge("--json")
    assert "against 2 baselines, of which 2 are trained already" in again.stderr
    assert "0 trials run, 140 had results" in again.stderr
    found = json.loads(again.stdout)
    assert found["sentences"] == [lines[-1]]
    assert [row["place"] for row in found["ranking"]] == [1, 2, 3]
    [rows] = found["tasks"].values()
    assert [row["task"] for row in rows] == [TASK, QUADRATIC]

    # More seeds are added to those that are there.
    more = challenge("--seeds", "6", "--only", QUADRATIC)
    assert "ChallengerLR_20_R6 against 2 baselines" in more.stdout, more.stderr
    assert "42 trials run, 210 had results" in more.stdout

    # Other code is not taken for the old.
    Path("challenger.py").write_text(text.replace("scale_by_sign", "scale_by_adam"))
    message = refusal(challenge())
    assert (
        f"has changed since it was trained on 2 tasks ({TASK}, {QUADRATIC})" in message
    )
    anew = challenge("--retrain", "--only", TASK)
    assert "deleted 71 files of ChallengerLR_20_R5" in anew.stdout, anew.stderr
    assert "70 trials run, 0 had results" in anew.stdout
    assert anew.stdout.splitlines()[-1].startswith(f"On {TASK} Challenger is ")
    assert f"trained on 1 task ({QUADRATIC})" in refusal(challenge())


@pytest.mark.slow
def test_a_race():
    raced = challenge("--race", "--only", TASK, "--tolerance", "0.5", "-o", "raced")
    assert raced.returncode == 0, raced.stderr
    assert "family-wise 5%" in raced.stdout.splitlines()[-1]
    assert Path("raced/race.json").exists()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((), "who challenges? Name a file"),
        (("none.py",), "no such file: none.py"),
        (("Adem",), "unknown optimizer, set or file 'Adem': did you mean Adam"),
        (("AdamLR_2000_R5",), "is of 2,000 steps, and suite laptop of 1,000"),
        (("Adam", "--suite", "laptp"), "unknown suite 'laptp': did you mean laptop"),
        (
            ("Adam", "--only", TASK[:-1]),
            f"unknown task of suite laptop '{TASK[:-1]}': did you mean {TASK}",
        ),
        (("Adam", "--against", "Adem"), "unknown optimizer 'Adem': did you mean Adam"),
        (("Adam", "--checkpoint", "x"), "a checkpoint is given with a name"),
    ],
)
def test_mistakes_are_named_before_anything_is_trained(args, message):
    assert message in refused(lopt_here("challenge", *args))
    assert not Path("challenge").exists()
