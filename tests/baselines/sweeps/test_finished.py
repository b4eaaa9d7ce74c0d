"""What was trained is written, whatever ends a sweep while it writes."""

import errno
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from learned_optimization import durable
from learned_optimization.baselines import utils
from learned_optimization.baselines.hparam_sets import add_hparam_set
from learned_optimization.baselines.results.archiving import archive
from learned_optimization.baselines.results.run_notes import read_all
from learned_optimization.baselines.results.tidying import LeftBehindWarning
from learned_optimization.baselines.sweeps import running
from learned_optimization.baselines.sweeps.finished import UnusableFinishedWarning
from learned_optimization.baselines.sweeps.grids import TrialGrid
from learned_optimization.baselines.sweeps.inner_training import inner_train_task
from learned_optimization.baselines.sweeps.shards import Shard
from learned_optimization.baselines.sweeps.sweep import run_sweep
from learned_optimization.cache import cache_dir
from learned_optimization.errors import (
    ForbiddenFileError,
    NewerSchemaError,
    ResultError,
    TooLargeError,
)
from learned_optimization.npz import read_npz, write_npz
from tests.baselines.files import TASK
from tests.baselines.sweeps.faulty import (
    Disk,
    KilledError,
    Trainer,
    archived,
    assert_same,
    killed_at,
    leftovers,
    of_a_dead_process,
    results,
)
from tests.tiny import TinyTask, tiny_set


@pytest.fixture
def trainer(monkeypatch):
    trainer = Trainer()
    monkeypatch.setattr(TrialGrid, "run", lambda *args, **kw: trainer.run(*args, **kw))
    return trainer


@pytest.fixture(autouse=True)
def no_flushing(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def small_set():
    """Four trials."""
    whole = tiny_set("TinySGD_20_R2")
    opt_names, hparams = whole.opt_names[:2], whole.hparams[:2]
    return add_hparam_set(
        replace(whole, opt_names=opt_names, hparams=hparams, repetitions=2)
    )


@pytest.fixture
def undisturbed(trainer, small_set, monkeypatch, tmp_path):
    """The archive of a sweep that nothing disturbs, and the calls that change files."""
    with monkeypatch.context() as patch:
        patch.setenv("LOPT_BASELINE_DIR", str(tmp_path / "undisturbed"))
        patch.setenv(
            "LOPT_BASELINE_ARCHIVES_DIR", str(tmp_path / "undisturbed_archives")
        )
        disk = Disk(patch)
        assert run_sweep([TASK], [small_set]).num_skipped == 0
        calls = list(disk.calls)
        assert leftovers() == []
        wanted = archived(archive(TASK, small_set))
    assert set(wanted["strategy"].ravel()) == {"trials_at_once=4,library_kernels=no"}
    trainer.trained.clear()
    return wanted, calls


def finished_files():
    return list(Path(utils.get_root_baseline_dir()).rglob(".finished/*.npz"))


class Killing:
    """Kills a sweep at one call that changes a file, and runs it again."""

    def __init__(self, wanted, trainer, hparam_set, monkeypatch, tmp_path):
        self.wanted, self.trainer, self.hparam_set = wanted, trainer, hparam_set
        self.monkeypatch, self.tmp_path = monkeypatch, tmp_path

    def __call__(self, number, after):
        """Return whether the second run trained, wrote what was kept, or neither."""
        root = self.tmp_path / f"{number} {after}"
        self.monkeypatch.setenv("LOPT_BASELINE_DIR", str(root))
        self.monkeypatch.setenv("LOPT_BASELINE_ARCHIVES_DIR", str(root / "archives"))
        with self.monkeypatch.context() as patch:
            of_a_dead_process(patch)
            Disk(patch, killed_at(number, after))
            with pytest.raises(KilledError):
                run_sweep([TASK], [self.hparam_set])
        is_kept, num_written = bool(finished_files()), len(results())
        # Nothing that was begun to be written can be lost.
        assert num_written in (0, 4) or is_kept
        self.trainer.trained.clear()
        summary = run_sweep([TASK], [self.hparam_set])
        again = not is_kept and num_written == 0
        assert len(self.trainer.trained) == again
        assert summary.num_skipped == (0 if again else 4)
        assert_same(archived(archive(TASK, self.hparam_set)), self.wanted)
        assert len(results()) == 4
        assert leftovers() == []
        assert read_all() == []
        return "trained again" if again else "written" if is_kept else "nothing left"


def test_a_sweep_killed_while_it_writes(
    undisturbed, trainer, small_set, monkeypatch, tmp_path
):
    wanted, calls = undisturbed
    kill = Killing(wanted, trainer, small_set, monkeypatch, tmp_path)
    kept = next(i for i, (_, path) in enumerate(calls) if ".finished" in path)
    assert [path.endswith(".curves") for _, path in calls[kept : kept + 6]] == [
        *(False, True, True, True, True, False)
    ]
    assert kill(kept, after=False) == "trained again"
    assert kill(kept, after=True) == "written"
    assert kill(kept + 2, after=True) == "written"
    # All results are there, and the finished curves too.
    assert kill(kept + 4, after=True) == "written"
    assert kill(kept + 5, after=True) == "nothing left"


@pytest.mark.slow
def test_a_sweep_killed_at_every_call_that_changes_a_file(
    undisturbed, trainer, small_set, monkeypatch, tmp_path
):
    wanted, calls = undisturbed
    kill = Killing(wanted, trainer, small_set, monkeypatch, tmp_path)
    seen = Counter(kill(n, after) for n in range(len(calls)) for after in (False, True))
    print(f"killed {seen.total()} times: {dict(seen)}")
    assert seen["written"] == 10
    assert min(seen["trained again"], seen["nothing left"]) > 0


@pytest.mark.parametrize("num_written", [0, 3])
def test_a_store_that_takes_so_many_results(
    num_written, undisturbed, trainer, small_set, monkeypatch
):
    wanted, _ = undisturbed
    count = 0

    def fails(is_after, number, name, path):
        nonlocal count
        if path.endswith(".curves") and not is_after:
            count += 1
            if count > num_written:
                raise ResultError(f"cannot write {path}: 503 Service Unavailable.")

    with monkeypatch.context() as patch:
        Disk(patch, fails)
        with pytest.raises(ResultError) as error:
            run_sweep([TASK], [small_set])
        # It goes on failing, and nothing is trained for it.
        with pytest.raises(ResultError, match="503 Service Unavailable"):
            run_sweep([TASK], [small_set])
    [kept] = finished_files()
    assert str(error.value).startswith(f"cannot write {utils.get_root_baseline_dir()}")
    assert f"4 trained trials are kept in {kept}" in str(error.value)
    assert len(results()) == num_written
    summary = run_sweep([TASK], [small_set])
    assert len(trainer.trained) == 1
    assert (summary.num_skipped, summary.trial_steps) == (4, 0)
    assert_same(archived(archive(TASK, small_set)), wanted)
    assert len(results()) == 4
    assert leftovers() == []


def test_a_full_disk_is_told_from_what_is_kept_on_another(
    undisturbed, trainer, small_set, monkeypatch
):
    wanted, _ = undisturbed
    root = utils.get_root_baseline_dir()
    real = durable.write

    def write(path, fill):
        if path.startswith(root) and path.endswith((".npz", ".curves")):
            raise OSError(errno.ENOSPC, "No space left on device")
        real(path, fill)

    with monkeypatch.context() as patch:
        patch.setattr(durable, "write", write)
        with pytest.raises(ResultError, match="No space left on device") as error:
            run_sweep([TASK], [small_set])
    [kept] = cache_dir().rglob("finished/*/*.npz")
    assert str(kept) in str(error.value)
    assert run_sweep([TASK], [small_set]).num_skipped == 4
    assert len(trainer.trained) == 1
    assert not kept.exists()
    assert_same(archived(archive(TASK, small_set)), wanted)


def test_a_disk_that_takes_nothing_says_what_is_lost(trainer, small_set, monkeypatch):
    def fails(is_after, number, name, path):
        if path.endswith(".npz") and name == "write_whole":
            raise ResultError(f"cannot write {path}: No space left on device.")

    with monkeypatch.context() as patch:
        Disk(patch, fails)
        with pytest.raises(ResultError, match="4 trials that were trained are not"):
            run_sweep([TASK], [small_set])
    assert results() == []
    assert [note.status for note in read_all()] == ["failed"]
    assert run_sweep([TASK], [small_set]).num_skipped == 0
    assert len(trainer.trained) == 2


def killed_while_writing(hparam_set, monkeypatch, num_written=2, shard=None):
    """Run a sweep that is killed once so many results are written."""
    written = []

    def fails(is_after, number, name, path):
        if path.endswith(".curves") and is_after:
            written.append(path)
        if len(written) >= num_written:
            raise KilledError

    with monkeypatch.context() as patch:
        of_a_dead_process(patch)
        Disk(patch, fails)
        with pytest.raises(KilledError):
            run_sweep([TASK], [hparam_set], shard=shard)


def test_a_sweep_of_some_of_the_trials_writes_all(trainer, small_set, monkeypatch):
    killed_while_writing(small_set, monkeypatch)
    fewer = replace(small_set, name="Fewer", repetitions=1)
    assert run_sweep([TASK], [fewer]).num_skipped == 2
    assert len(results()) == 4
    assert len(trainer.trained) == 1
    assert leftovers() == []


def test_a_sweep_of_other_trials_leaves_them(trainer, small_set, monkeypatch):
    killed_while_writing(small_set, monkeypatch, 1, shard=Shard(1, 2))
    assert run_sweep([TASK], [small_set], shard=Shard(2, 2)).num_skipped == 0
    assert len(finished_files()) == 1
    assert run_sweep([TASK], [small_set]).num_skipped == 4
    assert len(results()) == 4
    assert [len(trials) for trials in trainer.trained] == [2, 2]


def test_trials_that_got_results_meanwhile_keep_those(trainer, small_set, monkeypatch):
    killed_while_writing(small_set, monkeypatch, num_written=1)
    there = results()
    [kept] = finished_files()
    content = kept.read_bytes()
    run_sweep([TASK], [small_set])
    before = results()
    assert set(there) < set(before)
    # It was not removed, say because the store failed: nothing is doubled.
    kept.write_bytes(content)
    Path(before[0]).unlink()
    run_sweep([TASK], [small_set])
    assert len(results()) == 4
    assert len(trainer.trained) == 1
    assert leftovers() == []


def test_a_single_trial_begins_with_what_was_trained(trainer, small_set, monkeypatch):
    killed_while_writing(small_set, monkeypatch, num_written=1)
    result = inner_train_task(TinyTask(), "SGD", 20, task_name=TASK)
    # Two seeds of that setting were trained, and are written first.
    assert int(result["seed"]) == 2
    assert len(results()) == 5
    assert [len(trials) for trials in trainer.trained] == [4, 1]


@pytest.mark.parametrize("damage", ["cut", "no zip", "another file", "a key is gone"])
def test_a_damaged_file_is_as_good_as_none(damage, trainer, small_set, monkeypatch):
    killed_while_writing(small_set, monkeypatch)
    [kept] = finished_files()
    arrays = read_npz(str(kept))
    if damage == "cut":
        kept.write_bytes(kept.read_bytes()[:-100])
    elif damage == "no zip":
        kept.write_bytes(b"")
    elif damage == "another file":
        write_npz(str(kept), {"x": np.zeros(3)})
    else:
        write_npz(str(kept), {k: v for k, v in arrays.items() if k != "opt_name"})
    with pytest.warns(UnusableFinishedWarning, match="trained again"):
        summary = run_sweep([TASK], [small_set])
    assert (summary.num_skipped, len(trainer.trained)) == (2, 2)
    assert len(results()) == 4
    # It is said once.
    run_sweep([TASK], [small_set])


@pytest.mark.parametrize("has_other_keys", [False, True])
def test_nothing_is_trained_again_for_a_newer_schema(
    has_other_keys, trainer, small_set, monkeypatch
):
    killed_while_writing(small_set, monkeypatch)
    [kept] = finished_files()
    arrays = read_npz(str(kept))
    arrays["schema_version"] = arrays["schema_version"] + 1
    if has_other_keys:
        arrays["task"] = arrays.pop("task_name")
    write_npz(str(kept), arrays)
    with pytest.raises(NewerSchemaError, match=r"version 3\. Install a newer version"):
        run_sweep([TASK], [small_set])
    assert finished_files() == [kept]
    assert len(trainer.trained) == 1


def test_nor_for_a_file_beyond_the_limit(trainer, small_set, monkeypatch):
    killed_while_writing(small_set, monkeypatch)
    with monkeypatch.context() as patch:
        patch.setenv("LOPT_MAX_READ_BYTES", "1000")
        with pytest.raises(TooLargeError, match="set LOPT_MAX_READ_BYTES"):
            run_sweep([TASK], [small_set])
    assert len(finished_files()) == 1
    assert run_sweep([TASK], [small_set]).num_skipped == 4
    assert len(trainer.trained) == 1


def test_nor_for_a_file_of_somebody_else(trainer, small_set, monkeypatch):
    killed_while_writing(small_set, monkeypatch)
    real = os.open

    # Permissions do not stop the superuser.
    def forbidden(path, *args, **kwargs):
        if str(path).endswith(".npz"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", forbidden)
        with pytest.raises(ForbiddenFileError, match="Change its permissions"):
            run_sweep([TASK], [small_set])
    assert len(trainer.trained) == 1


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("eval_batches", 0),
        ("num_steps", 1 << 52),
        ("schema_version", "two"),
        ("task_name", "../../evil"),
        ("task_name", "a\0b"),
        ("opt_name", ".."),
        ("opt_name", "\ud800"),
        ("opt_name", "x" * 300),
    ],
)
def test_what_no_trial_can_have_is_damage(key, value, trainer, small_set, monkeypatch):
    killed_while_writing(small_set, monkeypatch)
    [kept] = finished_files()
    arrays = read_npz(str(kept))
    arrays[key] = np.asarray([*arrays[key][:-1].tolist(), value])
    write_npz(str(kept), arrays)
    with pytest.warns(UnusableFinishedWarning, match="trained again"):
        assert run_sweep([TASK], [small_set]).num_skipped == 2
    assert finished_files() == []
    root = Path(utils.get_root_baseline_dir())
    assert len(results()) == len(list(root.parent.rglob("*.curves"))) == 4


@pytest.mark.parametrize("folder", [".finished", ".endings", ".checkpoints", ".claims"])
def test_results_are_there_though_nothing_can_be_deleted(
    folder, trainer, small_set, monkeypatch
):
    if folder == ".claims":
        monkeypatch.setattr(running, "remove_dead", cannot_delete)
    elif folder == ".checkpoints":
        monkeypatch.setattr(running, "remove_finished", cannot_delete)
    else:

        def fails(is_after, number, name, path):
            if name == "remove_file" and folder in path:
                cannot_delete(path)

        Disk(monkeypatch, fails)
    with pytest.warns(LeftBehindWarning, match="stay, in .* said once") as said:
        summaries = [run_sweep([TASK], [small_set]) for _ in range(2)]
    assert len(said) == 1
    assert [summary.num_failed for summary in summaries] == [0, 0]
    assert [summary.num_skipped for summary in summaries] == [0, 4]
    assert len(results()) == 4
    assert len(trainer.trained) == 1


def cannot_delete(what):
    raise ResultError(f"cannot delete {what}: Read-only file system.")


def by_trial():
    found = [read_npz(path) for path in results()]
    return {(str(r["opt_name"]), int(r["seed"])): r for r in found}


def test_curves_are_those_of_the_result_files(trainer, small_set, monkeypatch):
    run_sweep([TASK], [small_set])
    direct = by_trial()
    monkeypatch.setenv("LOPT_BASELINE_DIR", str(cache_dir() / "elsewhere"))
    killed_while_writing(small_set, monkeypatch, num_written=1)
    run_sweep([TASK], [small_set])
    assert len(results()) == 4
    through_file = by_trial()
    assert through_file.keys() == direct.keys()
    for trial, wanted in direct.items():
        assert_same(through_file[trial], wanted)
