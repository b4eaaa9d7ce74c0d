"""Results and archives in buckets, and read over http."""

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from learned_optimization import filesystem
from learned_optimization.baselines import utils, vis
from learned_optimization.baselines.analysis.best_of_set import load_final_losses
from learned_optimization.baselines.release.offer import look_at
from learned_optimization.baselines.results.archiving import archive
from learned_optimization.baselines.results.selecting import files_of
from learned_optimization.baselines.results.status import status
from learned_optimization.baselines.sweeps.grids import TrialGrid
from learned_optimization.baselines.sweeps.sweep import (
    run_sweep,
    run_trials,
    sweep_trials,
)
from learned_optimization.cache import cache_dir, local_copy
from learned_optimization.errors import (
    DamagedFileError,
    MissingFileError,
    ResultError,
)
from tests.baselines.files import TASK, result, write, write_set
from tests.baselines.sweeps.faulty import Trainer
from tests.tiny import tiny_set

# aiohttp's advice to gcsfs.
pytestmark = pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")


def test_a_small_file_that_is_replaced_while_it_is_read(bucket, monkeypatch):
    path, is_new = f"{bucket}/claim.json", iter([False, True])
    filesystem.write_whole(path, lambda file: file.write(b"old"))
    opened = filesystem._open_remote

    def open_and_replace(fs, inner):
        file = opened(fs, inner)
        if next(is_new, None) is False:
            filesystem.write_whole(path, lambda file: file.write(b"new"))
        return file

    monkeypatch.setattr(filesystem, "_open_remote", open_and_replace)
    assert filesystem.read_all(path, 100) in (b"old", b"new")
    assert filesystem.read_all(path, 100) == b"new"


@pytest.fixture
def store(bucket, monkeypatch):
    """A bucket that results and archives go to."""
    monkeypatch.setenv("LOPT_BASELINE_DIR", f"{bucket}/results")
    monkeypatch.setenv("LOPT_BASELINE_ARCHIVES_DIR", f"{bucket}/archives")
    return bucket


def test_files(bucket):
    path = f"{bucket}/deep/file.bin"
    assert not filesystem.exists(path)
    assert filesystem.list_files(f"{bucket}/deep") == []
    assert filesystem.walk_files(bucket, "") == []
    with pytest.raises(ResultError, match=f"no such file: {path}"):
        filesystem.info(path)
    filesystem.write_whole(path, lambda file: file.write(b"abc"))
    with filesystem.open_to_read(path) as file:
        assert file.read() == b"abc"
    before = filesystem.info(path)
    assert (before.size, before.path) == (3, path)
    assert before.modified > 0
    assert filesystem.list_files(f"{bucket}/deep", ".bin") == [path]
    assert filesystem.list_files(f"{bucket}/deep", ".txt") == []
    assert filesystem.list_folders(bucket) == ["deep"]
    [walked] = filesystem.walk_files(bucket, ".bin")
    assert (walked.path, walked.size) == (path, 3)
    # A new content of the same length is another file.
    filesystem.write_whole(path, lambda file: file.write(b"xyz"))
    assert filesystem.info(path).stamp != before.stamp
    filesystem.move_file(path, f"{bucket}/deep/.hidden/file.bin")
    assert filesystem.walk_files(bucket, "") == []
    assert len(filesystem.walk_files(bucket, "", hidden=True)) == 1
    filesystem.check_writable(bucket)
    filesystem.remove_file(f"{bucket}/deep/.hidden/file.bin")
    filesystem.remove_file(f"{bucket}/deep/.hidden/file.bin")
    assert filesystem.walk_files(bucket, "", hidden=True) == []


def test_a_large_file_is_put_in_parts(bucket, monkeypatch):
    monkeypatch.setattr(filesystem, "_BYTES_OF_ONE_PUT", 1 << 20)
    content = os.urandom(7 << 20)
    filesystem.write_whole(f"{bucket}/large", lambda file: file.write(content))
    with filesystem.open_to_read(f"{bucket}/large") as file:
        assert file.read() == content


def test_an_interrupted_write_leaves_what_was_there(bucket):
    path = f"{bucket}/file.bin"
    filesystem.write_whole(path, lambda file: file.write(b"old"))

    def interrupted(file):
        file.write(b"ne")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        filesystem.write_whole(path, interrupted)
    with filesystem.open_to_read(path) as file:
        assert file.read() == b"old"
    assert len(filesystem.walk_files(bucket, "", hidden=True)) == 1


def test_a_bucket_that_is_not_there(bucket):
    nowhere = bucket.replace("lopt-tests", "lopt-nowhere")
    with pytest.raises(ResultError, match=r"cannot write below .*lopt-nowhere"):
        filesystem.check_writable(nowhere)
    with pytest.raises(ResultError, match="lopt-nowhere"):
        filesystem.write_whole(f"{nowhere}/x", lambda file: file.write(b"1"))


def test_a_sweep_from_training_to_figure(store, small_set):
    assert run_sweep([TASK], [small_set]).num_trials == 9
    assert run_sweep([TASK], [small_set]).num_skipped == 9
    path = archive(TASK, small_set)
    assert path == f"{store}/archives/{TASK}/{small_set.name}.npz"
    assert utils.list_hparam_sets_for_task(TASK) == [small_set.name]
    assert utils.load_archive(TASK, small_set.name)["train/loss"].shape == (3, 3, 21)
    [line, *_] = vis.plot_tasks_and_sets(TASK, [small_set.name]).get_lines()
    assert np.isfinite(line.get_ydata()).all()
    [row] = status([TASK], [small_set])
    assert (row.counts["done"], row.counts["diverged"]) == (6, 3)
    assert (row.archive, row.size > 0, row.modified > 0) == ("yes", True, True)
    # No note of what was under way, and no checkpoint, is left.
    everything = filesystem.walk_files(store, "", hidden=True)
    assert len(everything) == 10
    for file in files_of(TASK, [small_set], ["results", "archives"]):
        filesystem.remove_file(file.path)
    assert filesystem.walk_files(store, "", hidden=True) == []
    assert status([TASK], [small_set])[0].counts["missing"] == 9


@pytest.fixture
def quick_training(monkeypatch):
    trainer = Trainer()
    monkeypatch.setattr(TrialGrid, "run", lambda *args, **kw: trainer.run(*args, **kw))
    return trainer


def test_a_store_that_is_too_busy_for_some_results(
    s3, small_set, quick_training, monkeypatch
):
    import s3fs
    from botocore.exceptions import ClientError
    from s3fs.errors import translate_boto_error

    root = f"{s3}/busy/results"
    monkeypatch.setenv("LOPT_BASELINE_DIR", root)
    real, taken = s3fs.S3FileSystem._call_s3, []

    async def call(fs, method, *args, **kwargs):
        if method == "put_object" and kwargs["Key"].endswith(".curves"):
            if len(taken) == takes:
                answer = {
                    "Error": {"Code": "SlowDown", "Message": "Reduce your rate."},
                    "ResponseMetadata": {"HTTPStatusCode": 503},
                }
                raise translate_boto_error(ClientError(answer, "PutObject"))
            taken.append(kwargs["Key"])
        return await real(fs, method, *args, **kwargs)

    monkeypatch.setattr(s3fs.S3FileSystem, "_call_s3", call)
    takes = 5
    with pytest.raises(ResultError, match=r"cannot write s3://.*curves: ") as error:
        run_sweep([TASK], [small_set])
    [kept] = filesystem.list_files(f"{root}/.finished")
    assert f"9 trained trials are kept in {kept}" in str(error.value)
    assert len(filesystem.walk_files(root, ".curves")) == 5
    takes = 9
    summary = run_sweep([TASK], [small_set])
    assert (summary.num_skipped, summary.trial_steps) == (9, 0)
    assert len(taken) == 9
    assert len(quick_training.trained) == 1
    # No claim, note or checkpoint is left.
    assert len(filesystem.walk_files(root, "", hidden=True)) == 9


def test_two_sweeps_of_one_bucket(store, small_set, quick_training):
    trials = sweep_trials([TASK], [small_set])
    with ThreadPoolExecutor(2) as pool:
        done = [pool.submit(run_trials, trials) for _ in range(2)]
    summaries = [one.result() for one in done]
    assert sorted(s.num_skipped for s in summaries) == [0, 9]
    assert len(quick_training.trained) == 1
    assert len(filesystem.walk_files(store, "", hidden=True)) == 9


def test_damaged_results_are_quarantined(store):
    good, bad = write("SGD_lr0.1", 0), write("SGD_lr0.1", 1)
    filesystem.write_whole(bad, lambda file: file.write(b"no zip"))
    folder = utils.get_save_dir(TASK, "SGD_lr0.1", 20, 10, 5, 10)
    with pytest.raises(ResultError, match="1 of 2 result files") as error:
        utils.load_baseline_results_from_dir(folder)
    assert bad in str(error.value)
    [left] = utils.load_baseline_results_from_dir(folder, clear_bad_files=True)
    assert int(left["seed"]) == 0
    assert filesystem.list_files(folder, ".curves") == [good]
    kept = filesystem.list_files(f"{folder}/.quarantine")
    assert [os.path.basename(p) for p in kept] == [
        os.path.basename(bad),
        f"{os.path.basename(bad)}.json",
    ]


def test_archives_are_copied_once_and_again_when_they_change(store, small_set):
    write_set(small_set)
    path = archive(TASK, small_set)
    first = utils.load_archive(TASK, small_set.name)
    copies = list((cache_dir() / "copies").glob("*/*"))
    assert len(copies) == 1
    modified = copies[0].stat().st_ino
    assert load_final_losses(TASK, small_set.name).losses["test"][0, 0] == 1.0
    assert local_copy(path) == str(copies[0])
    assert copies[0].stat().st_ino == modified
    # A damaged copy is made again, whether its size has changed or not.
    for damaged in (b"short", b"x" * copies[0].stat().st_size):
        copies[0].write_bytes(damaged)
        assert utils.load_archive(TASK, small_set.name).keys() == first.keys()
    # Archived again from other results, nothing old is seen.
    for file in files_of(TASK, [small_set], ["results"]):
        filesystem.remove_file(file.path)
    for name in small_set.opt_names:
        for seed in range(3):
            arrays = result(name, seed)
            losses = arrays["eval/test/loss"] + 10
            write(name, seed, **{"eval/test/loss": losses})
    archive(TASK, small_set)
    assert load_final_losses(TASK, small_set.name).losses["test"][0, 0] == 11.0
    assert vis.load_curves(TASK, small_set.name).losses["test"][0, 0, -1] == 11.0
    assert len(list((cache_dir() / "copies").glob("*/*"))) == 1


def test_concurrent_writers(store):
    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(lambda seed: write("SGD_lr0.1", seed), range(24)))
    results = utils.load_baseline_results(TASK, "SGD_lr0.1", 20, threads=4)
    assert sorted(int(r["seed"]) for r in results) == list(range(24))
    assert len(set(paths)) == 24


def test_published_archives_are_read_over_http(web, monkeypatch, small_set):
    folder, address = web
    write_set(small_set)
    local = archive(TASK, small_set)
    (folder / TASK).mkdir()
    shutil.copy(local, folder / TASK)
    monkeypatch.setenv("LOPT_BASELINE_ARCHIVES_DIR", address)
    assert utils.list_hparam_sets_for_task(TASK) == [small_set.name]
    assert utils.load_archive(TASK, small_set.name, ["seed"])["seed"].shape == (3, 3)
    assert vis.load_curves(TASK, small_set.name).losses["test"].shape == (3, 3, 3)
    with pytest.raises(ResultError, match=f"archived for this task: {small_set.name}"):
        utils.load_archive(TASK, "None_1_R1")
    # Written again there, it is fetched again.
    served = folder / TASK / f"{small_set.name}.npz"
    arrays = utils.read_npz(local)
    utils.write_npz(str(served), {**arrays, "seed": arrays["seed"] + 1})
    os.utime(served, (1, 1))
    assert utils.load_archive(TASK, small_set.name, ["seed"])["seed"].min() == 1
    # What is damaged there is said with its address.
    served.write_bytes(served.read_bytes()[:-10])
    with pytest.raises(DamagedFileError, match=address):
        utils.load_archive(TASK, small_set.name)


def test_what_a_web_server_answers_is_said(web):
    _, address = web
    busy = f"{address}/busy/release"
    for attempt in (
        lambda: filesystem.read_all(f"{busy}/manifest.json", 100),
        lambda: look_at(busy),
    ):
        with pytest.raises(ResultError, match=f"cannot read {busy}.*: 503") as error:
            attempt()
        assert not isinstance(error.value, MissingFileError)
    with pytest.raises(MissingFileError, match=f"no such file: {address}/none"):
        filesystem.read_all(f"{address}/none", 100)
    nobody = "http://127.0.0.1:1/release"
    with pytest.raises(ResultError, match=f"cannot read {nobody}.*: Cannot connect"):
        look_at(nobody)


def test_nothing_is_written_over_http(web, monkeypatch):
    folder, address = web
    monkeypatch.setenv("LOPT_BASELINE_DIR", address)
    for attempt in (
        lambda: filesystem.check_writable(address),
        lambda: write("SGD_lr0.1", 0),
    ):
        with pytest.raises(ResultError, match="http:// is read only"):
            attempt()
    assert list(Path(folder).iterdir()) == []


def test_a_server_that_is_not_there(monkeypatch):
    monkeypatch.setenv("LOPT_BASELINE_ARCHIVES_DIR", "http://127.0.0.1:9")
    with pytest.raises(ResultError, match=r"127\.0\.0\.1:9"):
        utils.load_archive(TASK, tiny_set().name)
