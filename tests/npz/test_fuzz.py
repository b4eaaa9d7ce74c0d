"""Many damaged files, and no reader that fails in a way of its own."""

import json
import pickle
import random
import subprocess
import sys
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from learned_optimization.baselines.results.format import read_archive, read_result
from learned_optimization.errors import FileContentError
from learned_optimization.npz import read_npz, write_npz
from tests.baselines.files import result
from tests.npz.mutations import KINDS

TARGET = Path(__file__).with_name("fuzz_target.py")


def make_corpus(folder: Path) -> None:
    """Sound files for the fuzzer to damage: sealed, numpy's own, and their members."""
    arrays = {k: np.asarray(v) for k, v in result("SGD", 0).items()}
    kept = ("train/xs", "train/loss", "eval/xs", "status", "seed", "schema_version")
    arrays = {key: arrays[key] for key in kept}
    foreign = {key: arrays[key] for key in kept if key != "schema_version"}
    write_npz(str(folder / "sealed"), arrays)
    write_npz(str(folder / "stored"), arrays, compress=False)
    save: Callable[..., None]
    for name, save in (("numpy", np.savez), ("compressed", np.savez_compressed)):
        save(folder / f"{name}.npz", **foreign)
    np.savez(folder / "objects.npz", x=np.array([{}], dtype=object))
    members = []
    for path in folder.iterdir():
        path.write_bytes(b"F" + path.read_bytes())
    values = (
        np.arange(3),
        np.array([1, np.nan], np.float32),
        np.int64(0),
        np.array("done"),
    )
    for i, value in enumerate((*values, np.True_, np.int64(9))):
        np.save(folder / "member.npy", value)
        # The first byte says which key a member is.
        members.append(bytes([i]) + (folder / "member.npy").read_bytes())
        (folder / f"member{i}").write_bytes(members[-1])
    (folder / "member.npy").write_bytes(b"|||".join(members))


@pytest.mark.parametrize(
    "runs",
    [
        pytest.param(20_000, marks=pytest.mark.slow),
        pytest.param(100_000, marks=pytest.mark.exhaustive),
    ],
)
def test_damaged_files_end_in_typed_errors(tmp_path, runs):
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    make_corpus(corpus)
    options = [
        f"-runs={runs}",
        "-seed=1",
        "-max_len=6000",
        f"-artifact_prefix={tmp_path}/",
    ]
    fuzzer = [sys.executable, str(TARGET), str(corpus), *options]
    # libFuzzer limits the most memory that its process ever had, and Linux counts what
    # the process had that started it, the tests': a shell in between has little.
    done = subprocess.run(
        ["sh", "-c", '"$@"; exit $?', "fuzzer", *fuzzer],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert f"Done {runs} runs" in done.stderr
    *_, line = (x for x in done.stderr.splitlines() if x.startswith("outcomes:"))
    outcomes = json.loads(line.removeprefix("outcomes:"))
    print(f"{runs} inputs, each read three ways: {outcomes}")
    # It got everywhere: some are whole, and each kind of refusal was met.
    assert sum(outcomes.values()) == 3 * runs
    for outcome in ("read", "DamagedFileError", "UnsafeFileError", "NewerSchemaError"):
        assert outcomes[outcome] > 0, outcomes


# What one input may take: a file of some kilobytes, of which megabytes may come.
SECONDS, BYTES = 5.0, 64 << 20


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "count", [25, pytest.param(4000, marks=pytest.mark.exhaustive)]
)
def test_damage_to_what_holds_a_file_together(tmp_path, monkeypatch, kind, count):
    """Each input is read three ways, within a time and an amount of memory."""

    def no_pickle(*arguments, **options):
        raise AssertionError("a pickle was about to be loaded")

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, no_pickle)
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    make_corpus(corpus)
    # Files begin with a mark of the fuzzer's.
    sound = [
        p.read_bytes()[1:] for p in sorted(corpus.iterdir()) if "member" not in p.name
    ]
    path = tmp_path / "x.curves"
    rng = random.Random(kind)
    outcomes: Counter[str] = Counter()
    slowest, largest = 0.0, 0
    tracemalloc.start()
    for _ in range(count):
        path.write_bytes(KINDS[kind](rng.choice(sound), rng))
        for read in (read_npz, read_result, read_archive):
            tracemalloc.reset_peak()
            start = time.process_time()
            try:
                read(str(path))
                outcomes["read"] += 1
            except FileContentError as error:
                outcomes[type(error).__name__] += 1
            slowest = max(slowest, time.process_time() - start)
            largest = max(largest, tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()
    print(f"{count} {kind}: {dict(outcomes)}, {slowest:.3f} s, {largest >> 10:,} kB")
    assert outcomes.total() == 3 * count
    assert outcomes["DamagedFileError"] > 0, outcomes
    assert largest < BYTES
    # Where machines are shared by others, few inputs say nothing of time.
    assert slowest < SECONDS or count < 1000
