"""What `lopt rm` finds and deletes: all that was left behind, nothing behind a link."""

import errno
import json
import os
import threading
import time
import uuid
from pathlib import Path

import numpy as np
import pytest

from learned_optimization import filesystem
from learned_optimization.baselines import utils
from learned_optimization.baselines.results import (
    claim_files,
    claims,
    finished_files,
    leftovers,
    run_notes,
)
from learned_optimization.baselines.results.archiving import archive
from learned_optimization.baselines.results.files import (
    delete_saved_task_data,
    quarantine,
)
from learned_optimization.baselines.results.index import trial_entries
from learned_optimization.baselines.results.leftovers import checkpoints_of
from learned_optimization.baselines.results.matching import fill
from learned_optimization.baselines.results.selecting import (
    behind_links,
    delete,
    files_of,
)
from learned_optimization.baselines.results.status import status
from learned_optimization.cache import cache_dir, local_copy
from learned_optimization.errors import DamagedFileError
from learned_optimization.npz import write_npz
from learned_optimization.training.checkpoint import Checkpoint
from learned_optimization.training.strategy import Strategy
from learned_optimization.training.strategy_choice import Remembered
from tests.baselines.files import TASK, result, write, write_set
from tests.cli.running import lopt_here
from tests.faults import Killed, failing_at
from tests.training.test_checkpoint_files import saved


def age(*folders, seconds=7_200.0):
    """Make everything in some folders two hours old."""
    then = time.time() - seconds
    for folder in folders:
        for path in [*Path(folder).rglob("*"), Path(folder)]:
            os.utime(path, (then, then), follow_symlinks=False)


def hidden(*folders) -> list[str]:
    """Everything with a name that begins with a dot, or below one that does."""
    return sorted(
        str(path)
        for folder in folders
        for path in Path(folder).rglob("*")
        if not path.is_dir()
        and any(p.startswith(".") for p in path.relative_to(folder).parts)
    )


def is_quarantined(path: str) -> bool:
    return ".quarantine" in path and not path.endswith(".tmp")


KINDS = (
    "result",
    "archive",
    "checkpoint",
    "second checkpoint",
    "note",
    "claim",
    "finished",
    "sign",
    "probe",
    "quarantine",
    "strategy",
    "copy",
    "export of a file",
    "export of a folder",
)


def writers(tmp_path):
    """Every kind of writer: what it writes, and what it leaves when it is killed."""
    root = Path(utils.get_root_baseline_dir())
    bad = utils.get_save_dir(TASK, "SGD_lr9", 20, 10, 5, 10) + "/bad.curves"
    filesystem.write_whole(bad, lambda file: file.write(b"bad"))
    small = result("SGD_lr0.1", 7)
    finished = {k: np.stack([v]) for k, v in small.items()}

    def export_folder():
        filesystem.write_folder(
            tmp_path / "here" / uuid.uuid4().hex,
            lambda to: filesystem.write_whole(f"{to}/a", lambda f: f.write(b"x")),
        )

    return {
        "result": lambda: utils.write_baseline_result(small),
        "archive": lambda: utils.write_archive(TASK, "S", {"x": np.zeros(3)}),
        "checkpoint": lambda: Checkpoint(
            str(root / ".checkpoints" / "g.npz"), "this"
        ).save(saved(1)),
        "second checkpoint": lambda: Checkpoint(
            str(root / ".checkpoints" / "g.second.npz"), "this"
        ).save(saved(2)),
        "note": lambda: run_notes._note("g", [("a", 0)], "failed", "why"),
        "claim": lambda: claims.OwnClaim(frozenset([("a", 0)]))._write(),
        "finished": lambda: write_npz(
            str(root / ".finished" / "g.npz"), finished, compress=False
        ),
        "sign": lambda: filesystem.write_whole(
            root / ".lopt-sweep-0", lambda file: None
        ),
        "probe": lambda: filesystem.check_writable(root),
        "quarantine": lambda: quarantine(DamagedFileError(bad, "made so")),
        "strategy": lambda: Remembered(
            str(cache_dir() / "strategies" / "x.json"), {}
        ).save(Strategy(1), {}),
        "copy": lambda: local_copy("memory://lopt-removing/a", again=True),
        "export of a file": lambda: filesystem.write_whole(
            root / "table.csv", lambda file: file.write(b"x")
        ),
        "export of a folder": export_folder,
    }


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_of_a_writer_killed_at_any_call_is_left(kind, tmp_path, monkeypatch):
    filesystem.write_whole("memory://lopt-removing/a", lambda file: file.write(b"x"))
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    folders = (
        utils.get_root_baseline_dir(),
        utils.get_baseline_archive_rootdir(),
        str(cache_dir()),
        str(here),
    )
    for folder in folders:
        os.makedirs(folder, exist_ok=True)
    run = writers(tmp_path)[kind]
    write("SGD_lr0.1", 7)
    # So that its folders are there.
    run()
    seen = nth = 0
    is_done = False
    for nth in range(1, 1_000):
        with failing_at(nth, Killed()) as calls:
            run()
        is_done = len(calls) < nth
        left = [p for p in hidden(*folders) if not is_quarantined(p)]
        left += [str(p) for p in here.iterdir() if p.name.startswith(".")]
        seen += bool(left)
        # Its writer may be at work.
        assert leftovers.leftovers(beside=[str(here)]) == []
        age(*folders)
        # Of a claim, only the owner's death makes a leftover.
        kept = [p for p in hidden(*folders) if p.endswith(".json")]
        if kind == "claim":
            assert not set(kept) & set(leftovers.leftovers())
        with monkeypatch.context() as patch:
            patch.setattr(claim_files.Claim, "looks_live", lambda self: False)
            for path in leftovers.leftovers(beside=[str(here)]):
                leftovers.remove(path)
        assert [p for p in hidden(*folders) if not is_quarantined(p)] == []
        assert not [p for p in here.iterdir() if p.name.startswith(".")]
        if is_done:
            break
    print(f"{kind}: killed at {nth - 1} calls, {seen} times with something left")
    assert is_done
    assert seen > 0
    # What was whole is there.
    assert len(list(Path(folders[0]).rglob("*.curves"))) >= 1


def test_finished_curves_without_result_files_are_kept():
    small = {k: np.stack([v]) for k, v in result("SGD_lr0.1", 7).items()}
    root = Path(utils.get_root_baseline_dir())
    path = root / ".finished" / "g.npz"
    write_npz(str(path), small)
    age(root)
    assert leftovers.leftovers() == []
    write("SGD_lr0.1", 7)
    age(root)
    assert leftovers.leftovers() == [str(path)]
    path.write_bytes(b"damaged")
    age(root)
    assert leftovers.leftovers() == [str(path)]


def test_leftovers_of_finished_curves_on_this_machine():
    small = {k: np.stack([v]) for k, v in result("SGD_lr0.1", 7).items()}
    other = {k: np.stack([v]) for k, v in result("SGD_lr0.1", 8).items()}
    want = []
    for folder in finished_files.folders():
        write_npz(f"{folder}/a.npz", small)
        write_npz(f"{folder}/b.npz", other)
        bad = Path(folder, "c.npz")
        bad.write_bytes(b"damaged")
        moved = quarantine(DamagedFileError(str(bad), "made so"))
        want += [f"{folder}/a.npz", moved, f"{moved}.json"]
    # Another root's results are not known here.
    write_npz(str(cache_dir() / "finished" / "0" / "a.npz"), small)
    write("SGD_lr0.1", 7)
    assert leftovers.leftovers() == []
    age(utils.get_root_baseline_dir(), cache_dir())
    assert leftovers.leftovers() == sorted(want)


def test_results_deleted_do_not_come_back_from_finished_curves(small_set):
    names = small_set.opt_names[:2]

    def keep():
        for i, folder in enumerate(finished_files.folders()):
            for name, opts in {"one": names[:1], "both": names}.items():
                rows = [result(opt, i) for opt in opts]
                stacked = {k: np.stack([r[k] for r in rows]) for k in rows[0]}
                write_npz(f"{folder}/{name}.npz", stacked)

    def kept() -> set[str]:
        folders = finished_files.folders()
        return {p for f in folders for p in filesystem.list_files(f)}

    keep()
    everything = kept()
    assert len(everything) == 4
    assert {f.path for f in files_of(TASK, [], ["results"])} == everything
    assert files_of(TASK, [], ["bad", "copies", "archives"]) == []
    assert files_of("Another", [], ["results"]) == []
    # So that the command knows the task.
    write(names[0], 0)
    assert "deleted 5 files" in lopt_here("rm", TASK, small_set.name, "--yes").stdout
    assert kept() == set()
    keep()
    delete_saved_task_data(TASK, names[0], 20)
    assert kept() == {p for p in everything if p.endswith("both.npz")}
    delete_saved_task_data("Another")
    assert len(kept()) == 2
    delete_saved_task_data(TASK)
    assert kept() == set()


@pytest.mark.parametrize("bad", [False, True])
def test_finished_curves_of_others_stay_until_those_have_results(bad):
    rows = [result("SGD_lr0.1", 0), result("SGD_lr0.1", 0, task_name="Another")]
    stacked = {k: np.stack([r[k] for r in rows]) for k in rows[0]}
    for folder in finished_files.folders():
        write_npz(f"{folder}/both.npz", stacked)
    write("SGD_lr0.1", 0)
    if bad:
        Path(write("SGD_lr0.1", 0, task_name="Another")).write_bytes(b"damaged")
    assert len(delete_saved_task_data(TASK)) == 1
    write("SGD_lr0.1", 0, task_name="Another")
    # They would bring the result back, and nothing else.
    assert len(files_of(TASK, [], ["results"])) == 2
    assert len(delete_saved_task_data(TASK)) == 2
    assert len(files_of("Another", [], ["results"])) == 1 + bad


def test_the_command_says_which_runs_begin_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = Path(utils.get_root_baseline_dir())
    checkpoint = Checkpoint(str(root / ".checkpoints" / "g.npz"), "this")
    checkpoint.save(saved(1))
    checkpoint.save(saved(2))
    assert "nothing to delete" in lopt_here("rm", "--only", "leftovers").stdout
    age(root)
    refused = lopt_here("rm", "--only", "leftovers")
    assert refused.returncode == 2
    assert "2 of them are checkpoints" in refused.stdout
    assert checkpoints_of(leftovers.leftovers()) == sorted(checkpoint.paths)
    done = lopt_here("rm", "--only", "leftovers", "--yes")
    assert "deleted 2 leftovers" in done.stdout
    assert hidden(root) == []


def test_copies_are_counted_and_removed(small_set):
    paths = write_set(small_set)
    name = small_set.opt_names[0]
    extra = [write(name, 0), write(name, 0), write(name, 1)]
    # None of these is a copy: made-up data, another seed, a damaged file.
    others = [write(name, 0, synthetic_data=np.bool_(True)), write(name, 9)]
    bad = write(name, 0)
    Path(bad).write_bytes(b"no zip")
    [row] = status([TASK], [small_set])
    assert row.copies == row.as_json()["copies"] == 3
    shown = lopt_here("status", TASK, small_set.name)
    assert "copies" in shown.stdout
    said = json.loads(lopt_here("status", TASK, small_set.name, "--json").stdout)
    assert said[0]["copies"] == 3
    entries = [e for e in trial_entries(utils.get_root_baseline_dir()) if e.seed == 0]
    mine = [e for e in entries if e.opt_config == name]
    used = fill(mine, [0], synthetic=True)[0].path
    archive(TASK, small_set)
    before = utils.load_archive(TASK, small_set.name)
    lopt_here("rm", TASK, small_set.name, "--only", "copies", "--yes")
    left = {str(path) for path in Path(utils.get_root_baseline_dir()).rglob("*.curves")}
    assert len(left) == len(paths) + len(extra) + len(others) + 1 - 3
    assert {used, bad, *others} <= left
    archive(TASK, small_set)
    after = utils.load_archive(TASK, small_set.name)
    for key, values in before.items():
        np.testing.assert_array_equal(values, after[key], err_msg=key)
    [row] = status([TASK], [small_set])
    assert row.copies == 0
    assert "copies" not in lopt_here("status", TASK, small_set.name).stdout


@pytest.mark.parametrize("what", ["command", "function"])
def test_nothing_behind_a_link_is_deleted(tmp_path, what):
    root = Path(utils.get_root_baseline_dir())
    inside = Path(write("SGD_lr0.1", 0))
    linked = Path(write("SGD_lr1", 0))
    elsewhere = tmp_path / "elsewhere"
    # A folder and a file that were moved to another disk, a folder that leads back.
    os.rename(root / TASK / "SGD_lr1", elsewhere)
    (root / TASK / "SGD_lr1").symlink_to(elsewhere)
    moved = tmp_path / "moved.curves"
    os.rename(inside, moved)
    inside.symlink_to(moved)
    (elsewhere / "back").symlink_to(root)
    age(elsewhere)
    (elsewhere / ".a.tmp").touch()
    age(elsewhere)
    assert len(trial_entries(str(root))) == 2
    assert behind_links(TASK, [], ["results"]) == [str(linked)]
    [file] = files_of(TASK, [], ["results"])
    assert file.path == str(inside)
    if what == "command":
        done = lopt_here("rm", TASK, "--yes")
        assert "1 files behind links to folders stay" in done.stdout
        assert lopt_here("rm", TASK, "--only", "leftovers", "--yes").returncode == 0
        assert lopt_here("rm", "--only", "leftovers", "--yes").returncode == 0
    else:
        assert delete_saved_task_data(TASK) == [str(inside)]
        delete(str(linked))
    assert not os.path.lexists(inside)
    assert moved.exists()
    assert linked.exists()
    assert (elsewhere / ".a.tmp").exists()


def test_a_linked_task_is_read_and_not_deleted(tmp_path):
    root = Path(utils.get_root_baseline_dir())
    write("SGD_lr0.1", 0)
    os.rename(root / TASK, tmp_path / "task")
    (root / TASK).symlink_to(tmp_path / "task")
    assert len(trial_entries(str(root))) == 1
    assert delete_saved_task_data(TASK) == []
    done = lopt_here("rm", TASK, "--yes")
    assert "nothing to delete" in done.stdout
    assert len(trial_entries(str(root))) == 1


@pytest.mark.parametrize("code", [errno.ENOENT, errno.ESTALE])
def test_a_file_that_goes_when_it_is_opened_is_gone(code, small_set, monkeypatch):
    paths = write_set(small_set)
    root = utils.get_root_baseline_dir()
    real = os.open
    for path in sorted(paths):
        for again in range(2):
            with monkeypatch.context() as patch:
                patch.setenv("LOPT_CACHE_DIR", f"{root}-{again}-{Path(path).name}")

                def open_(name, *args, path=path, **kwargs):
                    if str(name) == path:
                        raise OSError(code, os.strerror(code))
                    return real(name, *args, **kwargs)

                patch.setattr(os, "open", open_)
                found = {entry.path for entry in trial_entries(root)}
                assert found == {*paths} - {path}
                [row] = status([TASK], [small_set], check=True)
                assert row.counts["missing"] == 1
                loaded = utils.load_baseline_results_from_dir(os.path.dirname(path))
                assert len(loaded) == small_set.repetitions - 1


def test_readers_beside_churn(small_set, tmp_path):
    paths = write_set(small_set)
    folder = Path(paths[0]).parent
    content = Path(paths[0]).read_bytes()
    stop, count = threading.Event(), [0]

    def churn():
        while not stop.is_set():
            count[0] += 1
            name = f"{count[0] % 5}"
            (folder / f"{name}.curves").write_bytes(content)
            (folder.parent / f"plan{name}").mkdir(exist_ok=True)
            (folder.parent / f"plan{name}" / "a.curves").write_bytes(content)
            (folder / f"{name}.curves").unlink()
            (folder.parent / f"plan{name}" / "a.curves").unlink()
            (folder.parent / f"plan{name}").rmdir()

    root = utils.get_root_baseline_dir()
    thread = threading.Thread(target=churn)
    thread.start()
    calls = 0
    try:
        while calls < 150:
            assert {*paths} <= {entry.path for entry in trial_entries(root)}
            [row] = status([TASK], [small_set])
            assert row.counts["missing"] == 0
            assert {*paths} <= {f.path for f in files_of(TASK, [], ["results"])}
            filesystem.list_files(str(folder))
            filesystem.list_folders(str(folder.parent))
            calls += 5
    finally:
        stop.set()
        thread.join()
    print(f"{calls} calls beside {count[0]} rounds of churn")
    assert count[0] > 20
