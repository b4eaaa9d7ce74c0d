"""Verifying a release: what is wrong is found and said, all of it."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from learned_optimization.baselines.release import places
from learned_optimization.baselines.release.manifest import (
    read_manifest,
    write_manifest,
)
from learned_optimization.baselines.release.packing import pack, unpack
from learned_optimization.baselines.release.thin import THIN_KEYS
from learned_optimization.baselines.release.verify import verify
from learned_optimization.errors import LoptError
from tests.baselines.release.trained import SET, TASK, short_set


def release_at(folder: Path) -> places.Release:
    return places.Release(str(folder), read_manifest(str(folder)), is_packaged=False)


@pytest.mark.slow
def test_trials_trained_again_are_the_same(released):
    done = verify(release_at(released / "short"), num_retrained=6, seed=3)
    assert done.is_good
    assert {(t.opt_name, t.seed) for t in done.retrained} == {
        (name, seed) for name in short_set().opt_names for seed in (0, 1)
    }
    assert done.worst is not None
    assert done.worst.largest <= 1e-3


def rewrite(folder: Path, change) -> places.Release:
    """Change the arrays of the release's archive, and let its manifest fit them."""
    release = release_at(folder)
    [archive] = release.manifest.archives
    path = folder / archive.file
    arrays = unpack(path.read_bytes(), str(path))
    change(arrays)
    path.write_bytes(pack(arrays))
    changed = replace(
        archive,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        num_bytes=path.stat().st_size,
    )
    write_manifest(str(folder), release.manifest.with_archive(changed))
    return release_at(folder)


@pytest.mark.slow
def test_a_trial_that_trains_to_other_losses_is_found(released):
    def change(arrays):
        arrays["eval/test/loss"][0, 1, 10] *= 1.02

    done = verify(rewrite(released / "short", change), num_retrained=6)
    assert not done.problems
    assert not done.is_good
    [other] = [trial for trial in done.retrained if not trial.is_same]
    assert (other.opt_name, other.seed, other.key) == (
        "SGD_lr0.001",
        1,
        "eval/test/loss",
    )
    # Two percent, less the rounding to seven bits.
    assert 0.01 < other.largest < 0.02


@pytest.mark.slow
def test_a_final_loss_must_be_exact(released):
    def change(arrays):
        arrays["final/test/loss"] *= np.float32(1.0015)

    done = verify(rewrite(released / "short", change), num_retrained=6)
    different = [trial for trial in done.retrained if not trial.is_same]
    assert len(different) == 6
    assert {trial.key for trial in different} == {"final/test/loss"}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda a: a.pop("eval/xs"), "eval/xs"),
        (lambda a: a.update(seed=a["seed"][:1]), "trials"),
        (lambda a: a["eval/xs"].__setitem__((0, 0, 0), 7), "must rise"),
        (lambda a: a.pop("thin/evaluations"), "it is thin, and lacks thin/evaluations"),
        (lambda a: [a.pop(k) for k in THIN_KEYS], "the manifest says otherwise"),
        (
            lambda a: a["thin/loss_bits"].__setitem__((0, 1), 1),
            "its thin/loss_bits is 1, and thin archives have at least 7",
        ),
        (lambda a: a["thin/other_bits"].fill(1), "thin/other_bits is 1"),
        (lambda a: a["opt_name"].__setitem__((0, 0), "SGD_lr9"), "not those of"),
        (lambda a: a.pop("opt_name"), "it lacks opt_name"),
        (lambda a: a.pop("eval/test/loss"), "it lacks eval/test/loss"),
        (lambda a: a["num_steps"].__setitem__((0, 0), 60), "its steps are not those"),
    ],
)
def test_what_is_wrong_with_an_archive_is_found(released, change, problem):
    def changed(arrays):
        for key in ("eval/xs", "opt_name", "num_steps", *THIN_KEYS):
            arrays[key] = arrays[key].copy()
        change(arrays)

    done = verify(rewrite(released / "short", changed))
    [found] = done.problems
    assert problem in found.problem
    assert not done.is_good


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("num_steps", 7),
        ("num_configs", 4),
        ("evaluations", 26),
        ("of_evaluations", 32),
        ("seeds", (0, 9)),
        ("versions", ("jax==0",)),
        ("hardware", "H200"),
    ],
)
def test_a_manifest_that_says_otherwise_than_the_archive_is_found(
    released, field, value
):
    release = release_at(released / "short")
    [archive] = release.manifest.archives
    changed = release.manifest.with_archive(replace(archive, **{field: value}))
    [found] = verify(replace(release, manifest=changed)).problems
    so = getattr(archive, field)
    assert f"its {field} is {so!r}, and the manifest says {value!r}" in found.problem


def test_a_file_of_another_length_is_not_the_one_of_the_digest(released):
    release = release_at(released / "short")
    path = released / "short" / TASK / f"{SET}.npz.xz"
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    for other in (content[:-9], content + b"x"):
        path.write_bytes(other)
        [found] = verify(release).problems
        assert digest in found.problem
        assert "Fetch or build the release again" in found.problem


def test_too_few_trials_are_a_problem_beside_the_others(released):
    release = release_at(released / "short")
    done = verify(release, num_retrained=7)
    assert not done.is_good
    assert done.num_bad == 0
    [few] = done.problems
    assert "6 trials that can be read, and 7" in str(few)
    (released / "short" / TASK / f"{SET}.npz.xz").unlink()
    done = verify(release, num_retrained=1)
    missing, few = done.problems
    assert done.num_bad == 1
    assert str(missing).startswith(f"{SET} on {TASK}: no such file")
    assert str(few).startswith("short has 0 trials that can be read, and 1")


def doubled(where, stored):
    """Stand in for training a trial again, to losses that are twice as large."""
    return None, {**stored, "eval/test/loss": stored["eval/test/loss"] * 2}


def failing(where, stored):
    raise LoptError("no such task.")


@pytest.mark.parametrize("fails", ["train_again", "train_nudged"])
def test_a_trial_that_cannot_be_trained_is_one_of_those_that_differ(
    released, monkeypatch, fails
):
    module = "learned_optimization.baselines.release.verify."
    monkeypatch.setattr(module + "train_again", doubled)
    monkeypatch.setattr(module + fails, failing)
    done = verify(release_at(released / "short"), num_retrained=1)
    [trial] = done.retrained
    assert trial.problem == "no such task."
    assert trial.opt_name in short_set().opt_names
    assert not done.is_good
    assert done.trained == []
    assert done.worst is None


def test_nothing_more_is_trained_once_rounding_explains_a_trial(released, monkeypatch):
    given = []

    def nudged(where, stored):
        for factor in (2.0, 2.02, 1.8, 2.5):
            given.append(factor)
            yield {**stored, "eval/test/loss": stored["eval/test/loss"] * factor}

    module = "learned_optimization.baselines.release.verify."
    monkeypatch.setattr(module + "train_again", doubled)
    monkeypatch.setattr(module + "train_nudged", nudged)
    done = verify(release_at(released / "short"), num_retrained=1)
    [trial] = done.retrained
    # The stored one is half of the new one: the two that are 1% and 10% away from it
    # make .1 and 1 of that.
    assert given == [2.0, 2.02, 1.8]
    assert done.is_good
    assert not trial.is_same
    assert trial.by_rounding == pytest.approx(0.1)


def test_steps_that_no_trial_has_are_said(released, monkeypatch):
    def train(where, stored):
        kept = {key: a[:-1] if a.ndim else a for key, a in stored.items()}
        return None, kept

    monkeypatch.setattr(
        "learned_optimization.baselines.release.verify.train_again", train
    )
    [trial] = verify(release_at(released / "short"), num_retrained=1).retrained
    assert "has 30, which a trial of its configuration does not have" in trial.problem
