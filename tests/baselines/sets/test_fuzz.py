"""Damaged files of sets: a set, or an error that names the file, and at once."""

import random
from collections import Counter
from pathlib import Path

import pytest

from learned_optimization.baselines.sets.files import load_user_file
from learned_optimization.baselines.sets.registry import SETS
from learned_optimization.errors import LoptError

YAML = """sets:
  - &first
    name: FuzzedA
    optimizer: Adam
    num_steps: 20
    space:
      learning_rate: {log: [1e-3, 1e-1], points: 3}
      beta1: [0.8, .9]
    fixed: {epsilon: 1e-6, beta2: 0.99}
    seeds: 2
  - <<: *first
    name: FuzzedB
    search: random
    num_configs: 4
"""
GIN = """hparam_set.name = "FuzzedC"
hparam_set.optimizer = "Adam"
hparam_set.num_steps = 20
hparam_set.space = {"learning_rate": [0.1, 0.2], "beta1": {"int": [0, 3]}}
hparam_set.search = "random"
hparam_set.num_configs = 2
"""
ODD = (
    *("null", "~", "-1", "0", "1e999", ".inf", "NaN", "true", "''", "{}", "[]", "- "),
    *("9" * 400, "9" * 5000, "1000000000", "1e12", "2147483648", "*first", "&a "),
    *("!!python/object:os.system", "!!binary x", "\x00", "\x1b[31m", "\t", "\u202e"),
    *("[" * 50, "[" * 5000, "{a: " * 200, "@Adam()", "%x", "'''", '"', "\\", "\n"),
    *("include '/dev/zero'\n", "import os\n", "hparam_set.seeds = 1000000000\n"),
    *("<<: ", ": ", "é"),
)


def damaged(text: str, rng: random.Random) -> str:
    """Return a text with a few parts cut out, repeated or replaced."""
    for _ in range(rng.randrange(1, 4)):
        i, j = sorted(rng.randrange(len(text) + 1) for _ in range(2))
        j = min(j, i + rng.choice((0, 1, 4, 40)))
        text = text[:i] + rng.choice((*ODD, "", text[i:j] * 3)) + text[j:]
    return text


@pytest.mark.parametrize(("ending", "text"), [("yaml", YAML), ("gin", GIN)])
@pytest.mark.parametrize(
    "count", [150, pytest.param(5000, marks=pytest.mark.exhaustive)]
)
def test_damaged_files_of_sets(
    tmp_path: Path, ending: str, text: str, count: int
) -> None:
    path = tmp_path / f"set.{ending}"
    rng = random.Random(ending)
    outcomes: Counter[str] = Counter()
    for _ in range(count):
        path.write_bytes(damaged(text, rng).encode())
        with SETS.temporarily():
            try:
                outcomes["sets"] += bool(load_user_file(path))
            except LoptError as error:
                outcomes["refused"] += str(path) in str(error)
                # A number of 5,000 digits is the longest that is quoted in full.
                assert len(str(error)) < 12_000  # noqa: PT017
    print(f"{count} damaged {ending} files: {dict(outcomes)}")
    assert outcomes.total() == count, outcomes
    assert min(outcomes["sets"], outcomes["refused"]) > 0, outcomes
