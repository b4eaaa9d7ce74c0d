"""Whatever ends a writer, no reader sees half a file, and nothing finished is lost."""

import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from learned_optimization import filesystem
from learned_optimization.baselines import utils
from learned_optimization.npz import read_npz, write_npz
from tests.baselines.files import TASK, result, write

pytestmark = pytest.mark.slow

# What a writer does to the file system, one system call each.
CALLS = "write,pwrite64,fsync,ftruncate,rename,mkdir,unlink"
OLD, NEW = np.zeros(2000), np.arange(3000)

WRITE = """\
import sys
import numpy as np
from learned_optimization.npz import write_npz
write_npz(sys.argv[1], {"x": np.arange(3000), "y": np.asarray("text")}, compress=False)
"""


def trace(folder: Path, *options: str) -> tuple[int, list[str]]:
    """Run the writer under strace; returns its exit code and the calls it made."""
    log = folder.parent / "strace.log"
    strace = shutil.which("strace")
    assert strace, "strace is not installed: apt-get install strace"
    command = [strace, "-f", "-qq", "-o", str(log), "-e", f"trace={CALLS}", *options]
    command += [sys.executable, "-B", "-c", WRITE, str(folder / "deep" / "a.npz")]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert "strace:" not in done.stderr, done.stderr
    return done.returncode, log.read_text().splitlines()


@pytest.mark.parametrize("there", [False, True])
def test_a_writer_killed_at_every_call(tmp_path, there):
    folder = tmp_path / "results"

    def prepare():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        if there:
            write_npz(str(folder / "deep" / "a.npz"), {"x": OLD})

    prepare()
    code, calls = trace(folder)
    assert code == 0
    calls = [line for line in calls if "exited" not in line]
    renamed = next(i for i, line in enumerate(calls) if "rename(" in line)
    # Its bytes are on the disk before its name is, and its name before it returns.
    assert any("fsync(" in line for line in calls[:renamed])
    assert any("fsync(" in line for line in calls[renamed:])
    seen = {"nothing": 0, "old": 0, "new": 0}
    for i, call in enumerate(calls):
        # strace counts each system call apart.
        name = call.split()[1].partition("(")[0]
        nth = sum(c.split()[1].startswith(f"{name}(") for c in calls[: i + 1])
        prepare()
        code, _ = trace(folder, "-e", f"inject={name}:signal=KILL:when={nth}")
        assert code == -9, (name, nth, code)
        visible = filesystem.walk_files(folder, "")
        assert [f.path for f in visible] in ([], [str(folder / "deep" / "a.npz")])
        if not visible:
            assert not there
            seen["nothing"] += 1
        else:
            x = read_npz(visible[0].path)["x"]
            assert np.array_equal(x, OLD) or np.array_equal(x, NEW)
            seen["new" if np.array_equal(x, NEW) else "old"] += 1
        # The next writer is not hindered by what is left behind.
        write_npz(str(folder / "deep" / "a.npz"), {"x": NEW})
    print(f"killed at {len(calls)} calls, seen afterwards: {seen}")
    assert seen["new"] > 0
    assert seen["old" if there else "nothing"] > 0


FILL = """\
import json, os, subprocess, sys
from pathlib import Path
root = os.environ["LOPT_BASELINE_DIR"]
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", root], check=True)
from learned_optimization.baselines import utils
from learned_optimization.errors import ResultError
from tests.baselines.files import TASK, write
written, errors = [], []
for seed in range(500):
    try:
        written.append(write("SGD_lr0.1", seed))
    except ResultError as error:
        errors.append(str(error))
        if len(errors) == 3:
            break
everything = [p for p in Path(root).rglob("*") if p.is_file()]
read = utils.load_baseline_results(TASK, "SGD_lr0.1", 20)
os.remove(written[0])
again = write("SGD_lr0.1", 0)
print(json.dumps({
    "written": len(written), "errors": errors, "files": len(everything),
    "read": sorted(int(r["seed"]) for r in read), "again": os.path.exists(again),
}))
"""


def test_a_full_disk_loses_nothing(tmp_path):
    root = tmp_path / "full"
    root.mkdir()
    unshare = ["unshare", "--mount"]
    if os.geteuid() != 0:
        unshare += ["--user", "--map-root-user"]
    done = subprocess.run(
        [*unshare, sys.executable, "-c", FILL],
        env={**os.environ, "LOPT_BASELINE_DIR": str(root), "PYTHONPATH": os.getcwd()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    print(
        f"wrote {said['written']} files before the disk was full: {said['errors'][0]}"
    )
    assert said["written"] > 10
    # Each error names a file and the reason; no half file is left, hidden or not.
    assert len(said["errors"]) == 3
    for error in said["errors"]:
        assert error.startswith(f"cannot write {root}")
        assert "No space left on device" in error
    assert said["files"] == said["written"]
    assert said["read"] == list(range(said["written"]))
    # Once there is room, the same write goes through.
    assert said["again"]


WRITERS, ARCHIVERS, FILES_EACH = 5, 3, 30


def _write_many(number: int, start: float) -> None:
    _wait(start)
    names = ("SGD_lr0.01", "SGD_lr0.1", "SGD_lr100000000.0")
    for i in range(FILES_EACH):
        write(names[i % 3], number * FILES_EACH + i)


def _archive_many(start: float, results: multiprocessing.Queue) -> None:
    from learned_optimization.baselines.hparam_sets import add_hparam_set
    from learned_optimization.baselines.results.archiving import archive
    from tests.tiny import tiny_set

    small = tiny_set()
    add_hparam_set(small)
    _wait(start)
    count = 0
    while time.time() < start + 8:
        archive(TASK, small)
        count += 1
    results.put(count)


def _wait(start: float) -> None:
    time.sleep(max(0.0, start - time.time()))


def test_many_writers_archivers_and_readers(small_set):
    # What archivers need is there before; writers add to the same folders.
    for name in small_set.opt_names:
        for seed in range(3):
            write(name, 1000 + seed)
            write(name, seed)
    context = multiprocessing.get_context("spawn")
    queue, start = context.Queue(), time.time() + 15
    processes = [
        context.Process(target=_write_many, args=(n + 1, start)) for n in range(WRITERS)
    ] + [
        context.Process(target=_archive_many, args=(start, queue))
        for _ in range(ARCHIVERS)
    ]
    for process in processes:
        process.start()
    folder = utils.get_save_dir(TASK, small_set.opt_names[0], 20, 10, 5, 10)
    _wait(start)
    reads = archives = 0
    while any(process.is_alive() for process in processes):
        # A partial file would raise.
        utils.load_baseline_results_from_dir(folder)
        reads += 1
        if utils.list_hparam_sets_for_task(TASK):
            arrays = utils.load_archive(TASK, small_set.name)
            np.testing.assert_array_equal(arrays["seed"], [[0, 1, 2]] * 3)
            archives += 1
    for process in processes:
        process.join()
        assert process.exitcode == 0
    archived = sum(queue.get() for _ in range(ARCHIVERS))
    every = [
        (str(r["opt_name"]), int(r["seed"]))
        for name in small_set.opt_names
        for r in utils.load_baseline_results(TASK, name, 20)
    ]
    print(
        f"{len(every)} files by {WRITERS} writers, {archived} archives by {ARCHIVERS} "
        f"archivers, the folder read {reads} times, the archive {archives} times"
    )
    assert len(every) == len(set(every)) == 18 + WRITERS * FILES_EACH
    assert min(reads, archives, archived) > 5
    # Nothing hidden is left over.
    hidden = filesystem.walk_files(utils.get_root_baseline_dir(), ".tmp", hidden=True)
    assert hidden == []


def test_results_of_the_helper_are_sound():
    # What the tests above write passes every check of reading.
    path = utils.write_baseline_result(result("SGD_lr0.1", 0, diverges_at=3))
    assert str(read_npz(path)["status"]) == "diverged"
