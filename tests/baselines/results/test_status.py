"""Every trial of a set is counted in exactly one way; files are deleted as listed."""

import os
import socket
import time
from pathlib import Path

import numpy as np
import pytest

from learned_optimization.baselines import utils
from learned_optimization.baselines.results import selecting
from learned_optimization.baselines.results.archiving import (
    archive,
    maybe_get_hparam_set,
)
from learned_optimization.baselines.results.claims import Claims
from learned_optimization.baselines.results.run_notes import noted
from learned_optimization.baselines.results.status import OTHER, STATES, status
from learned_optimization.errors import RunStoppedError
from tests.baselines.files import TASK, write, write_set
from tests.tiny import tiny_set


def place(hparam_set, config, seed):
    return hparam_set.save_dirs(TASK)[config][0], seed


def claimed(trials):
    claim = Claims().take(trials)
    assert claim is not None
    return claim


def test_every_way_to_stand(small_set):
    first, second, third = small_set.opt_names
    write(first, 0)
    write(first, 1, diverges_at=5)
    Path(write(first, 2)).write_bytes(b"damaged")
    for error, late, trial in (
        (FloatingPointError("a bug"), False, place(small_set, 1, 0)),
        (RunStoppedError("stopped"), True, place(small_set, 1, 1)),
        (RunStoppedError("stopped"), False, place(small_set, 1, 2)),
    ):
        with (
            pytest.raises(type(error)),
            noted(str(trial[1]), [trial], lambda x=late: x),
        ):
            raise error
    with claimed([place(small_set, 2, 0)]):
        [row] = status([TASK], [small_set])
    assert {state: row.counts[state] for state in STATES} == {
        **dict.fromkeys(STATES, 1),
        "archived": 0,
        "missing": 3,
    }
    assert sum(row.counts.values()) == row.num_trials == 9
    assert row.bad == 1
    assert row.archive == "no"
    files = list(Path(utils.get_root_baseline_dir()).rglob("*.curves"))
    assert row.size == sum(p.stat().st_size for p in files)
    assert row.modified == max(p.stat().st_mtime for p in files)
    reasons = {(s, seed): reason for _, seed, s, reason in row.trials}
    assert reasons["diverged", 1] == "from step 5"
    assert "FloatingPointError: a bug" in reasons["failed", 0]
    data = row.as_json()
    [owner] = data["trained_by"]
    assert owner["owner"] == f"process {os.getpid()} on {socket.gethostname()}"
    assert owner["trials"] == 1
    assert abs(owner["since"] - time.time()) < 60
    assert owner["last_heartbeat"] >= owner["since"]
    assert (data["done"], data["timed_out"], data["bytes"]) == (1, 1, row.size)
    assert len(data["not_done"]) == 5
    assert third not in str(data["bad_files"])
    assert second not in str(data["bad_files"])


def test_what_is_only_in_an_archive_is_not_missing(small_set):
    write(small_set.opt_names[0], 0)
    others = tiny_set("TinySGD_20_R1")
    for hparam_set, task in ((small_set, TASK), (others, "Fetched")):
        utils.write_archive(task, hparam_set.name, {"eval/test/loss": np.zeros((3, 3))})
    rows = status([], [], [small_set, others])
    counts = {(r.task, r.hparam_set): +r.counts for r in rows if r.archive != "no"}
    assert counts == {
        (TASK, small_set.name): {"done": 1, "archived": 8},
        ("Fetched", others.name): {"archived": others.num_trials},
    }


def test_a_result_outweighs_a_note(small_set):
    trial = place(small_set, 0, 0)
    with pytest.raises(RunStoppedError), noted("grid", [trial]):
        raise RunStoppedError
    assert status([TASK], [small_set])[0].counts["interrupted"] == 1
    write(small_set.opt_names[0], 0)
    [row] = status([TASK], [small_set])
    assert (row.counts["interrupted"], row.counts["done"]) == (0, 1)


def test_whatever_there_is_without_a_name(small_set):
    assert status([], [], [small_set]) == []
    write_set(small_set)
    write("Unknown_lr1", 0)
    write(small_set.opt_names[0], 7)
    write(small_set.opt_names[0], 0, task_name="Another")
    rows = {(r.task, r.hparam_set): r for r in status([], [], [small_set])}
    assert rows.keys() == {
        (TASK, small_set.name),
        (TASK, OTHER),
        ("Another", small_set.name),
    }
    assert rows[TASK, small_set.name].counts["done"] == 9
    # One of no set, and one with a seed the set does not have.
    assert rows[TASK, OTHER].counts["done"] == 2
    assert rows["Another", small_set.name].counts["missing"] == 8
    total = sum(row.size for row in rows.values())
    files = Path(utils.get_root_baseline_dir()).rglob("*.curves")
    assert total == sum(p.stat().st_size for p in files)


def test_sets_that_share_trials_both_count_them(small_set):
    short = tiny_set("TinySGD_20_R1")
    short = type(short)(**{**short.__dict__, "repetitions": 1})
    write_set(small_set)
    long_row, short_row = status([TASK], [small_set, short])
    assert (long_row.counts["done"], short_row.counts["done"]) == (9, 3)
    known = [small_set, short]
    assert selecting.shared_with(TASK, [short], known) == [small_set.name]
    assert len(selecting.files_of(TASK, [short], ["results"])) == 3


def test_an_archive_is_there_or_old(small_set):
    paths = write_set(small_set)
    archive(TASK, small_set)
    assert status([TASK], [small_set])[0].archive == "yes"
    later = os.path.getmtime(paths[0]) + 100
    os.utime(paths[0], (later, later))
    assert status([TASK], [small_set])[0].archive == "old"


def test_check_finds_what_is_damaged_where_nobody_looked(small_set):
    path = write_set(small_set)[0]
    content = bytearray(Path(path).read_bytes())
    with np.load(path) as npz:
        assert npz["train/loss"].shape == (21,)
    at = content.index(b"train/loss.npy") + 60
    content[at] ^= 0x10
    Path(path).write_bytes(content)
    assert status([TASK], [small_set])[0].bad == 0
    [row] = status([TASK], [small_set], check=True)
    assert (row.bad, row.counts["missing"]) == (1, 1)
    assert "train/loss" in row.bad_files[0][1]
    # It is known from then on.
    assert status([TASK], [small_set])[0].bad == 1


def test_archiving_finds_it_too_and_takes_another_repetition(small_set):
    path = write_set(small_set)[0]
    content = bytearray(Path(path).read_bytes())
    content[content.index(b"train/loss.npy") + 60] ^= 0x10
    Path(path).write_bytes(content)
    written = write(small_set.opt_names[0], 0)
    # Of two with a seed, the first by name is taken.
    spare = os.path.join(os.path.dirname(written), "99999999_000000_spare.curves")
    os.rename(written, spare)
    assert archive(TASK, small_set)
    assert status([TASK], [small_set])[0].bad == 1
    os.remove(spare)
    assert status([TASK], [small_set])[0].counts["archived"] == 1


def test_a_set_with_a_file_that_turns_out_damaged_is_incomplete(small_set):
    path = write_set(small_set)[0]
    assert maybe_get_hparam_set(TASK, small_set.name) is not None
    content = bytearray(Path(path).read_bytes())
    content[content.index(b"train/loss.npy") + 60] ^= 0x10
    Path(path).write_bytes(content)
    assert status([TASK], [small_set])[0].bad == 0
    assert maybe_get_hparam_set(TASK, small_set.name) is None
    assert status([TASK], [small_set])[0].bad == 1


def test_what_is_deleted_is_what_is_listed(small_set):
    results = write_set(small_set)
    path = archive(TASK, small_set)
    other = write("Other", 0)
    bad = write(small_set.opt_names[0], 1)
    Path(bad).write_bytes(b"damaged")

    def paths(sets, *kinds):
        return {f.path for f in selecting.files_of(TASK, sets, kinds)}

    assert paths([small_set], "results") == {*results, bad}
    assert paths([small_set], "archives") == {path}
    assert paths([small_set], "bad") == {bad}
    assert paths([], "results", "archives") == {*results, bad, other, path}
    assert paths([small_set], "quarantine") == set()
    utils.load_baseline_results_from_dir(os.path.dirname(bad), clear_bad_files=True)
    quarantined = f"{os.path.dirname(bad)}/.quarantine/{os.path.basename(bad)}"
    assert paths([small_set], "quarantine") == {quarantined, f"{quarantined}.json"}
    assert paths([], "quarantine") == {quarantined, f"{quarantined}.json"}
    assert paths([small_set], "bad") == set()


def test_leftovers_of_killed_writers_can_be_deleted(small_set):
    folder = Path(os.path.dirname(write_set(small_set)[0]))
    old, new = folder / ".a.curves.0123.tmp", folder / ".b.curves.0123.tmp"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (1e9, 1e9))
    # A writer may still be at work on the newer one.
    found = selecting.files_of(TASK, [small_set], ["leftovers"])
    assert [f.path for f in found] == [str(old)]
    assert selecting.files_of(TASK, [], ["leftovers"]) == found
