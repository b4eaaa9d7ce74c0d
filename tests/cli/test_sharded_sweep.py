"""A sweep in parts, each a process that knows nothing of the others."""

import pytest

from learned_optimization.baselines import load_archive
from tests.cli.running import TASK, lopt, lopt_here, refused

SET = """\
name: Sharded_100_R2
optimizer: Adam
num_steps: 100
seeds: 2
space:
  learning_rate: [0.001, 0.01, 0.1]
"""


@pytest.mark.exhaustive
def test_shards_make_the_whole_set(tmp_path):
    file = tmp_path / "sharded.yaml"
    file.write_text(SET)
    sweep = ("sweep", TASK, "--set", str(file))
    first = lopt(*sweep, "--shard", "1/2")
    assert first.returncode == 0, first.stderr
    assert "3 trials run, 0 had results" in first.stdout
    assert (
        f"Sharded_100_R2: 3 trials are left to other shards; then: "
        f"lopt archive {TASK} Sharded_100_R2 --set {file}\n" in first.stdout
    )
    again = lopt(*sweep, "--shard", "1/2")
    assert "0 trials run, 3 had results" in again.stdout
    last = lopt(*sweep, "--shard", "2/2")
    assert "3 trials run, 0 had results" in last.stdout
    assert "archived " in last.stdout
    archive = load_archive(TASK, "Sharded_100_R2")
    assert archive["train/loss"].shape == (3, 2, 101)


def test_no_such_shard():
    message = refused(lopt_here("sweep", TASK, "AdamLR_1000_R5", "--shard", "5/4"))
    assert "from 1/N to N/N, e.g. 3/10; got '5/4'" in message


def test_no_such_strategy():
    message = refused(lopt_here("sweep", TASK, "AdamLR_1000_R5", "--strategy", "fast"))
    assert "a strategy is 'auto' or, for example" in message
