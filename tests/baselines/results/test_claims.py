"""No two processes hold claims that share a trial, and no claim outlives its owner."""

import errno
import json
import os
import random
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from learned_optimization import filesystem
from learned_optimization.baselines import utils
from learned_optimization.baselines.results import claim_files, claims, run_notes
from learned_optimization.baselines.results.claim_files import EXPIRES_AFTER
from learned_optimization.baselines.results.claims import (
    Claims,
    ClaimWarning,
    NoClaim,
    OwnClaim,
)
from learned_optimization.baselines.results.owner import Owner
from learned_optimization.baselines.results.status import status
from learned_optimization.errors import ForbiddenFileError, ResultError


def places(*seeds):
    root = utils.get_root_baseline_dir()
    return [(f"{root}/T/SGD/20_10_5_10", seed) for seed in seeds]


def take(*seeds, by=None):
    return (by or Claims()).take(places(*seeds))


def held(*seeds):
    claim = take(*seeds)
    assert isinstance(claim, OwnClaim)
    return claim


def files():
    return list(Path(utils.get_root_baseline_dir(), ".claims").glob("*.json"))


def test_claims_that_share_a_trial_exclude_each_other():
    with held(0, 1):
        assert take(1, 2) is None
        with held(2, 3):
            assert take(3) is None
        held(3).release()
        [claim] = claims.read_all()
        assert claim.trials == frozenset([("T/SGD/20_10_5_10", s) for s in (0, 1)])
        assert str(claim.owner) == f"process {os.getpid()} on {socket.gethostname()}"
        assert claim.is_held
        assert claim.looks_live()
    held(1, 2).release()
    assert files() == []


def test_an_exception_releases_it():
    with pytest.raises(KeyboardInterrupt), held(0):
        raise KeyboardInterrupt
    assert files() == []


def test_threads_that_want_the_same_trials(monkeypatch):
    # Whatever moment each of them is at when another one looks.
    real = claims.read_all
    chances = random.Random(0)

    def slow():
        time.sleep(chances.uniform(0, 0.01))
        return real()

    monkeypatch.setattr(claims, "read_all", slow)
    monkeypatch.setattr(claims, "_SECONDS_BETWEEN_LOOKS", 0.001)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    in_use, guard = set(), threading.Lock()
    counts, problems = {"held": 0, "given way": 0}, []

    def work(number):
        mine = random.Random(number)
        for _ in range(12):
            seeds = set(mine.sample(range(6), 3))
            claim = take(*seeds)
            with guard:
                counts["given way" if claim is None else "held"] += 1
                if claim is not None:
                    problems.extend(in_use & seeds)
                    in_use.update(seeds)
            if claim is not None:
                time.sleep(0.002)
                with guard:
                    in_use.difference_update(seeds)
                with claim:
                    pass

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(counts)
    assert problems == []
    assert min(counts.values()) > 0
    assert files() == []


def test_one_of_several_that_ask_at_once_gets_it(monkeypatch):
    """Each has written its claim before any looks at the others."""
    barrier = threading.Barrier(4)
    real = Claims._others

    def others(self, trials, own=""):
        found = real(self, trials, own)
        if not own and not hasattr(self, "has_met"):
            self.has_met = True
            barrier.wait()
        return found

    monkeypatch.setattr(Claims, "_others", others)
    got = []
    threads = [threading.Thread(target=lambda: got.append(take(0))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [claim] = [claim for claim in got if isinstance(claim, OwnClaim)]
    assert len(files()) == 1
    claim.release()


def edited(**changes):
    """Change what the one claim there says."""
    [path] = files()
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_process_that_is_killed_has_no_claim_any_more():
    code = (
        "import os\n"
        "from tests.baselines.results.test_claims import held\n"
        "held(0, 1)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    # Its exit code is not asked for yet: it is there, and dead.
    process = subprocess.Popen([sys.executable, "-c", code])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    [claim] = claims.read_all()
    assert claim.is_held
    assert not claim.looks_live()
    assert process.wait() == -9
    assert not claim.looks_live()
    [note] = run_notes.read_all()
    assert (note.status, note.claim) == ("interrupted", None)
    held(1, 2).release()
    assert files() == []


def test_the_id_of_a_process_is_given_again():
    claim = held(0)
    assert take(0) is None
    if Owner.here().started:
        edited(started="1")
        held(0).release()
    claim.release()


def test_another_container_or_machine_is_not_asked_for_its_processes():
    here = Owner.here()
    # No process here has this id.
    other = Owner(here.host, f"{here.machine} another", 1 << 22, "1")
    assert not other.has_ended()
    assert Owner(here.host, here.machine, 1 << 22, "1").has_ended()
    assert not here.has_ended()


class Clock:
    """The clocks of a machine, set by the test."""

    def __init__(self, monkeypatch):
        self.now, self.wall = 1000.0, time.time()
        clocks = SimpleNamespace(
            monotonic=lambda: self.now, time=lambda: self.wall, sleep=time.sleep
        )
        monkeypatch.setattr(claims, "time", clocks)
        monkeypatch.setattr(claim_files, "time", clocks)


# One that is old when it is first seen is not watched.
@pytest.mark.parametrize("skew", [-EXPIRES_AFTER - 50, 0, 1e6])
def test_a_waiter_judges_by_its_own_clock(skew, monkeypatch):
    claim, waiter = held(0), Claims()
    edited(machine="elsewhere", renewed=time.time() + skew)
    clock = Clock(monkeypatch)
    assert take(0, by=waiter) is None
    clock.now += 0.9 * EXPIRES_AFTER
    assert take(0, by=waiter) is None
    # It is renewed, so that another span begins.
    edited(renewal="another")
    clock.now += 0.9 * EXPIRES_AFTER
    assert take(0, by=waiter) is None
    clock.now += 0.9 * EXPIRES_AFTER
    assert take(0, by=waiter) is None
    clock.now += 0.2 * EXPIRES_AFTER
    mine = take(0, by=waiter)
    assert isinstance(mine, OwnClaim)
    # Its owner finds out, and does not claim it again.
    assert claim.is_lost()
    assert not mine.is_lost()
    mine.release()
    claim.release()


def test_one_look_judges_by_the_time_that_it_was_renewed(monkeypatch):
    claim, clock = held(0), Clock(monkeypatch)
    edited(machine="elsewhere")
    assert claims.read_all()[0].looks_live()
    # Clocks differ.
    clock.wall -= 3600
    assert claims.read_all()[0].looks_live()
    clock.wall += 3600 + EXPIRES_AFTER + 30
    assert run_notes.read_all()[0].status == "running"
    clock.wall += 60
    assert not claims.read_all()[0].looks_live()
    assert run_notes.read_all()[0].status == "interrupted"
    claim.release()


def until(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_it_is_renewed_and_says_when_that_fails(monkeypatch):
    monkeypatch.setattr(claims, "_SECONDS_BETWEEN_RENEWALS", 0.01)
    with held(0) as claim:
        before = claims.read_all()[0]
        until(lambda: claims.read_all()[0].content != before.content)
        assert claims.read_all()[0].since == before.since

        def fail(path, write):
            raise ResultError(f"cannot write {path}: No space left on device.")

        with monkeypatch.context() as patch:
            patch.setattr(filesystem, "write_whole", fail)
            until(lambda: "No space left" in claim.problem)
        until(lambda: claim.problem == "")
    assert files() == []


def test_a_lost_one_is_not_renewed(monkeypatch):
    monkeypatch.setattr(claims, "_SECONDS_BETWEEN_RENEWALS", 0.01)
    claim = held(0)
    [path] = files()

    def is_given_up():
        # It may be renewed while it is removed.
        path.unlink(missing_ok=True)
        return "claim" not in {thread.name for thread in threading.enumerate()}

    until(is_given_up)
    assert claim.is_lost()
    assert files() == []
    claim.release()


def test_where_none_can_be_made_that_is_said_once(monkeypatch):
    def fail(path, write):
        raise ResultError(f"cannot write {path}: Read-only file system.")

    monkeypatch.setattr(filesystem, "write_whole", fail)
    mine = Claims()
    with pytest.warns(ClaimWarning, match="Read-only file system"):
        claim = take(0, by=mine)
    assert isinstance(claim, NoClaim)
    with claim:
        assert isinstance(take(0, by=mine), NoClaim)


def test_a_disk_that_fails_for_a_while_ends_no_renewal(monkeypatch):
    monkeypatch.setattr(claims, "_SECONDS_BETWEEN_RENEWALS", 0.005)
    real = os.stat

    def fail(path, *args, **kwargs):
        if str(path).endswith(".json"):
            raise OSError(errno.EIO, "Input/output error")
        return real(path, *args, **kwargs)

    def bug(path):
        raise RuntimeError("a client's own")

    with held(0) as claim:
        for name, broken, said in (
            ("os.stat", fail, "Input/output error"),
            ("learned_optimization.filesystem.info", bug, "RuntimeError: a client's"),
        ):
            with monkeypatch.context() as patch:
                patch.setattr(name, broken)
                until(lambda said=said: said in claim.problem)
                if broken is fail:
                    assert not claim.is_lost()
            until(lambda: claim.problem == "")
        before = claims.read_all()[0].content
        until(lambda: claims.read_all()[0].content != before)
    assert files() == []


@pytest.mark.parametrize(
    "error",
    [ForbiddenFileError("x.json", "Permission denied"), ResultError("503 Slow Down")],
    ids=["forbidden", "503"],
)
def test_one_that_cannot_be_read_is_not_taken_for_none(error, monkeypatch):
    real = filesystem.read_all

    def read_all(path, limit):
        if ".claims" in str(path):
            raise error
        return real(path, limit)

    with held(0) as claim, monkeypatch.context() as patch:
        patch.setattr(filesystem, "read_all", read_all)
        with pytest.warns(ClaimWarning, match=str(error.args[0])[:10]):
            assert isinstance(take(0), NoClaim)
        with pytest.warns(UserWarning, match="who trains which trials") as said:
            status(["T"], [])
        assert len(said) == 1
        patch.undo()
        assert [c.name for c in claims.read_all()] == [claim.name]


@pytest.mark.parametrize("key", ["since", "renewed"])
@pytest.mark.parametrize("time", [float("inf"), float("nan"), 1e300, -1e300, 10**400])
def test_one_of_no_time_there_is_is_no_claim(key, time):
    with held(0):
        edited(**{key: time})
        assert claims.read_all() == []
        held(0).release()


def test_one_that_is_old_when_it_is_first_seen_is_of_the_dead():
    dead = held(0)
    edited(machine="elsewhere", renewed=time.time() - 30 * 86400)
    mine = held(0)
    assert dead.is_lost()
    assert not mine.is_lost()
    mine.release()
    dead.release()


def test_who_slept_between_asking_and_holding_gives_way(monkeypatch):
    real_hold, others = OwnClaim.hold, []

    def taken_over():
        for path in files():
            path.unlink()
        others.append(OwnClaim(claim_files.below_root(places(0))))
        assert real_hold(others[0])

    def asleep_before(claim):
        if not others:
            taken_over()
        return real_hold(claim)

    monkeypatch.setattr(OwnClaim, "hold", asleep_before)
    assert take(0) is None
    others.pop().release()

    # The other way round: after the look, and before the file is written.
    def asleep_within(claim):
        if not others:
            taken_over()
            claim._is_held = True
            claim._write()
            return True
        return real_hold(claim)

    monkeypatch.setattr(OwnClaim, "hold", asleep_within)
    assert take(0) is None
    assert [claim.name for claim in claims.read_all()] == [others[0].name]
    others.pop().release()
    assert files() == []


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "nonsense", "[" * 10_000, '{"trials": [[1]]}']
)
def test_what_is_no_claim_is_ignored(text):
    folder = Path(utils.get_root_baseline_dir(), ".claims")
    folder.mkdir(parents=True)
    (folder / "odd.json").write_text(text)
    assert claims.read_all() == []
    held(0).release()


def test_dead_ones_go_once_their_trials_have_results():
    claim = held(0, 1)
    claim_files.remove_dead(places(0, 1))
    assert len(files()) == 1
    edited(machine="elsewhere", renewed=0)
    claim_files.remove_dead(places(0))
    assert len(files()) == 1
    claim_files.remove_dead(places(0, 1, 2))
    assert files() == []
    claim.release()
