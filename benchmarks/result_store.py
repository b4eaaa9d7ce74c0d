"""How fast results are found, read and archived where there are very many.

    python benchmarks/result_store.py [--json FILE] [--trials 100000] [--archives 2000]

Everything is made up in a temporary folder and deleted. Each row is measured in a
process of its own, with the alternative beside it; peak memory is the process's own,
less what importing takes. "Cold" is with an empty index, "warm" the call after it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

NUM_CONFIGS, NUM_SEEDS, NUM_STEPS = 15, 5, 100_000
TASK = "ImageMLP_FashionMnist8_Relu32"
SET = "Synthetic_100000_R5"


def _result(seed: int, num_steps: int) -> dict[str, Any]:
    """Make a result file's content: losses that compression hardly makes smaller."""
    rng = np.random.default_rng(seed)
    num_evals = num_steps // 10 + 1
    evals = {
        f"eval/{split}/{key}": rng.normal(2, 0.1, num_evals).astype(np.float32)
        for split in ("train", "outer_valid", "test")
        for key in ("loss", "loss_normalized")
    }
    return {
        "train/xs": np.arange(num_steps + 1),
        "train/loss": rng.normal(2, 0.1, num_steps + 1).astype(np.float32),
        "eval/xs": np.arange(0, num_steps + 1, 10),
        **evals,
        "task_name": TASK,
        "opt_name": "Adam_lr0.001",
        "opt_config": "Adam_lr0.001",
        "num_steps": np.int64(num_steps),
        "eval_every": np.int64(10),
        "eval_batches": np.int64(5),
        "last_eval_batches": np.int64(10),
        "seed": np.int64(seed),
        "schema_version": np.int64(2),
        "status": "done",
        "diverged_from": np.int64(-1),
        "synthetic_data": np.bool_(True),
        "gin_operative_config": "Adam.learning_rate = 0.001\n" * 30,
    }


def make_trials(folder: str) -> None:
    """Write 75 result files of 100,000 steps."""
    from learned_optimization.npz import write_npz

    for i in range(NUM_CONFIGS * NUM_SEEDS):
        write_npz(f"{folder}/{i:03}.curves", _result(i, NUM_STEPS), compress=False)


def _paths(folder: str) -> list[list[str]]:
    files = sorted(str(p) for p in Path(folder).glob("*.curves"))
    return [files[i : i + NUM_SEEDS] for i in range(0, len(files), NUM_SEEDS)]


def archive_ours(folder: str) -> dict[str, float]:
    """Archive the 75 files, as `lopt archive` does."""
    from learned_optimization.baselines.results.stacking import write_stacked

    path = f"{folder}/ours.npz"
    row = _measured(lambda: write_stacked(path, _paths(folder)))
    return {**row, "bytes": os.path.getsize(path)}


def archive_numpy(folder: str) -> dict[str, float]:
    """Stack all in memory, then write numpy's compressed npz: the alternative."""
    path = f"{folder}/numpy.npz"

    def write() -> None:
        files = [np.load(p) for row in _paths(folder) for p in row]
        arrays: Any = {
            key: np.stack([f[key] for f in files]).reshape(
                NUM_CONFIGS, NUM_SEEDS, *files[0][key].shape
            )
            for key in files[0].files
        }
        np.savez_compressed(path, **arrays)
        with open(path, "rb+") as file:
            os.fsync(file.fileno())

    row = _measured(write)
    return {**row, "bytes": os.path.getsize(path)}


def disk(folder: str) -> dict[str, float]:
    """Return the bound: as many bytes as our archive has, written and flushed."""
    content = os.urandom(1 << 20)
    size = os.path.getsize(f"{folder}/ours.npz")

    def write() -> None:
        with open(f"{folder}/bytes", "wb") as file:
            for _ in range(size >> 20):
                file.write(content)
            file.flush()
            os.fsync(file.fileno())

    return {**_measured(write), "bytes": size}


def load_ours(folder: str) -> dict[str, float]:
    """Load the curves of our archive, checked, as `vis.load_curves` does."""
    from learned_optimization.baselines.results.format import read_archive

    keys = ["opt_name", *(f"eval/{s}/loss" for s in ("train", "outer_valid", "test"))]
    return _measured(lambda: read_archive(f"{folder}/ours.npz", keys))


def load_numpy(folder: str) -> dict[str, float]:
    """Return the alternative: np.load of everything in our archive."""

    def load() -> None:
        with np.load(f"{folder}/ours.npz") as npz:
            dict(npz.items())

    return _measured(load)


def load_numpy_compressed(folder: str) -> dict[str, float]:
    """Return the same of the archive numpy wrote."""

    def load() -> None:
        with np.load(f"{folder}/numpy.npz") as npz:
            dict(npz.items())

    return _measured(load)


def _known_folders(count: int) -> list[str]:
    """Return folders of the sets there are, on as many tasks as it takes."""
    from learned_optimization.baselines.hparam_sets import all_hparam_sets
    from learned_optimization.tasks.registry import all_fixed_tasks

    folders = dict.fromkeys(
        folder
        for task in all_fixed_tasks()
        for s in all_hparam_sets().values()
        for folder, _ in s.save_dirs(task)
    )
    return list(folders)[:count]


def make_many(num_trials: int) -> None:
    """Write small result files in the folders of the sets, five seeds in each."""
    from learned_optimization.npz import write_npz

    template = []
    for seed in range(NUM_SEEDS):
        path = f"{os.environ['LOPT_BASELINE_DIR']}/template"
        write_npz(path, _result(seed, 20))
        template.append(Path(path).read_bytes())
        os.remove(path)
    for folder in _known_folders(num_trials // NUM_SEEDS):
        os.makedirs(folder)
        for seed, content in enumerate(template):
            Path(folder, f"20260101_000000_{seed:010}.curves").write_bytes(content)


def status_ours() -> dict[str, float]:
    """Run `lopt status` of everything, without printing."""
    from learned_optimization.baselines.hparam_sets import all_hparam_sets
    from learned_optimization.baselines.results.status import status

    rows: list[Any] = []
    row = _measured(
        lambda: rows.extend(status([], [], list(all_hparam_sets().values())))
    )
    trials = sum(sum(r.counts.values()) - r.counts["missing"] for r in rows)
    return {**row, "rows": len(rows), "counted": trials}


def status_numpy() -> dict[str, float]:
    """Return the alternative: the status of every file, read with numpy."""
    count = 0

    def read() -> None:
        nonlocal count
        for path in Path(os.environ["LOPT_BASELINE_DIR"]).rglob("*.curves"):
            with np.load(path) as npz:
                count += str(npz["status"]) == "done" and int(npz["seed"]) >= 0

    return {**_measured(read), "counted": count}


def make_archives(count: int) -> None:
    """Archive of 14 configurations and 5 seeds, for many tasks and sets."""
    from learned_optimization.npz import write_npz

    one = _result(0, 10_000)
    arrays = {k: np.broadcast_to(v, (14, 5, *np.shape(v))) for k, v in one.items()}
    root = os.environ["LOPT_BASELINE_ARCHIVES_DIR"]
    write_npz(f"{root}/template", arrays, compress=False)
    for i in range(count):
        folder = Path(root, f"Task{i % 20}")
        folder.mkdir(parents=True, exist_ok=True)
        # One content under many names: 2,000 of them would fill a disk.
        os.link(f"{root}/template", folder / f"Set{i // 20}_10000_R5.npz")
    os.remove(f"{root}/template")


def best_ours() -> dict[str, float]:
    """List every task's sets, and find the best configuration of each."""
    from learned_optimization.baselines.analysis.best_of_set import (
        best_of_set,
        load_final_losses,
    )
    from learned_optimization.baselines.utils import list_hparam_sets_for_task

    count = 0

    def find() -> None:
        nonlocal count
        for task in os.listdir(os.environ["LOPT_BASELINE_ARCHIVES_DIR"]):
            for name in list_hparam_sets_for_task(task):
                best_of_set(load_final_losses(task, name))
                count += 1

    return {**_measured(find), "counted": count}


def best_numpy() -> dict[str, float]:
    """Return the alternative: np.load of the evaluation curves of each."""
    count = 0

    def find() -> None:
        nonlocal count
        for path in Path(os.environ["LOPT_BASELINE_ARCHIVES_DIR"]).rglob("*.npz"):
            with np.load(path) as npz:
                final = npz["eval/outer_valid/loss"][:, :, -1].mean(axis=1)
                np.argmin(final)
                count += 1

    return {**_measured(find), "counted": count}


def _measured(run: Any) -> dict[str, float]:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    run()
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"seconds": seconds, "peak_bytes": (after - before) * 1024}


def _child(name: str, *args: str, **env: str) -> dict[str, float]:
    """Run one of the functions above in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, "--run", name, *args],
        env={**os.environ, **env},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.strip().splitlines()[-1])


def _archive_rows(folder: str, env: dict[str, str]) -> list[dict[str, Any]]:
    _child("make_trials", folder, **env)
    pairs = [
        ("archive 15 x 5 x 100,000 steps", "archive_ours", ["archive_numpy", "disk"]),
        ("load its evaluation curves", "load_ours", ["load_numpy"]),
        ("load its evaluation curves", "load_ours", ["load_numpy_compressed"]),
    ]
    rows = []
    for what, ours, others in pairs:
        mine = _child(ours, folder, **env)
        for other in others:
            rows.append(_row(what, mine, other, _child(other, folder, **env)))
    return rows


def _row(
    what: str, ours: dict[str, float], other: str, theirs: dict[str, float]
) -> dict[str, Any]:
    doc = (globals()[other].__doc__ or "").strip()
    return {"what": what, "ours": ours, "against": doc, "theirs": theirs}


def _scale_rows(
    env: dict[str, str], trials: int, archives: int
) -> list[dict[str, Any]]:
    rows = []
    _child("make_many", str(trials), **env)
    alternative = _child("status_numpy", **env)
    for which in ("cold", "warm"):
        ours = _child("status_ours", **env)
        what = f"status of {trials:,} trials, {which}"
        rows.append(_row(what, ours, "status_numpy", alternative))
    _child("make_archives", str(archives), **env)
    alternative = _child("best_numpy", **env)
    for which in ("cold", "warm"):
        ours = _child("best_ours", **env)
        what = f"best of {archives:,} archives, {which}"
        rows.append(_row(what, ours, "best_numpy", alternative))
    return rows


def _print(rows: list[dict[str, Any]]) -> None:
    print("| what | seconds | peak memory | bytes | against | seconds | ratio |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        ours, theirs = row["ours"], row["theirs"]
        size = f"{ours['bytes'] / 1e6:,.0f} MB" if "bytes" in ours else ""
        print(
            f"| {row['what']} | {ours['seconds']:.3g} | "
            f"{ours['peak_bytes'] / 1e6:,.0f} MB | {size} | {row['against']} | "
            f"{theirs['seconds']:.3g} | {theirs['seconds'] / ours['seconds']:.1f} |"
        )


def main() -> None:
    """Measure everything and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the figures there")
    parser.add_argument("--trials", type=int, default=100_000)
    parser.add_argument("--archives", type=int, default=2_000)
    parser.add_argument("--run", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.run:
        name, *rest = args.run
        found = globals()[name](*(int(a) if a.isdecimal() else a for a in rest))
        print(json.dumps(found or {}))
        return
    with tempfile.TemporaryDirectory() as folder:
        env = {
            "LOPT_BASELINE_DIR": f"{folder}/results",
            "LOPT_BASELINE_ARCHIVES_DIR": f"{folder}/archives",
            "LOPT_CACHE_DIR": f"{folder}/cache",
        }
        rows = _archive_rows(f"{folder}/large", env)
        shutil.rmtree(f"{folder}/large")
        rows += _scale_rows(env, args.trials, args.archives)
    _print(rows)
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
