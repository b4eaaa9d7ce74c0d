"""Users' files on another machine: here, another process in another folder."""

import pickle
import subprocess
import sys

import pytest

from learned_optimization.cluster.packed_files import PackedFiles

MODULE = """\
import optax

def half_sgd(learning_rate):
    return optax.sgd(learning_rate / 2)
"""
PYTHON = """\
from halving import half_sgd
from learned_optimization.optimizers.optax_optimizer import optax_optimizer

@optax_optimizer
def HalfSGD(learning_rate=0.1):
    \'\'\'Gradient descent at half speed.\'\'\'
    return half_sgd(learning_rate)
"""
YAML = """\
imports: [../optimizers/my_opt.py]
name: MySet_100_R2
optimizer: HalfSGD
num_steps: 100
seeds: 2
space:
  learning_rate: [0.01, 0.1]
"""
SENDER = """\
import pickle, sys
from learned_optimization.baselines.sets.files import files_read, load_user_file
from learned_optimization.cluster.packed_files import PackedFiles
load_user_file(sys.argv[1])
sys.stdout.buffer.write(pickle.dumps(PackedFiles.pack(files_read())))
"""
RECEIVER = """\
import pickle, sys
from learned_optimization.baselines.hparam_sets import get_hparam_set
pickle.load(sys.stdin.buffer).load()
print(get_hparam_set("MySet_100_R2").num_trials)
"""


@pytest.mark.slow
def test_files_that_import_each_other_travel_together(tmp_path):
    for name, text in {
        "home/optimizers/halving.py": MODULE,
        "home/optimizers/my_opt.py": PYTHON,
        "home/sets/my_set.yaml": YAML,
        "home/sets/unrelated.py": "raise SystemExit",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    sent = subprocess.run(
        [sys.executable, "-c", SENDER, "home/sets/my_set.yaml"],
        cwd=tmp_path,
        capture_output=True,
        check=True,
    ).stdout
    packed = pickle.loads(sent)
    assert {name for name, _ in packed.contents} == {
        "optimizers/halving.py",
        "optimizers/my_opt.py",
        "sets/my_set.yaml",
    }
    assert packed.to_load == ("optimizers/my_opt.py", "sets/my_set.yaml")
    (tmp_path / "home").rename(tmp_path / "gone")
    received = subprocess.run(
        [sys.executable, "-c", RECEIVER], input=sent, capture_output=True, check=True
    )
    assert received.stdout.strip() == b"4"


def test_no_files():
    assert PackedFiles.pack([]) == PackedFiles()
    PackedFiles().load()
