"""Losses of whole splits in files and archives: all there, or all absent."""

from typing import Any

import numpy as np
import pytest

from learned_optimization.baselines import utils
from learned_optimization.baselines.results.archiving import archive
from learned_optimization.baselines.results.format import read_result
from learned_optimization.baselines.results.last_losses import (
    WHOLE_KEYS,
    has_whole,
    last_losses,
)
from learned_optimization.baselines.results.trial_losses import read_trial_losses
from learned_optimization.errors import DamagedFileError
from tests.baselines.files import SPLITS, TASK, result, write


def whole(loss, count=60) -> dict[str, Any]:
    """Keys of whole splits, whose losses are apart from each other."""
    losses = {f"final/{s}/loss": np.float32(loss + i) for i, s in enumerate(SPLITS)}
    counts = {f"final/num_examples/{s}": np.int64(count) for s in SPLITS}
    return losses | counts


def write_all(hparam_set, losses):
    """Write the files of a set; a loss of None is a file without such keys."""
    rows = zip(hparam_set.opt_names, losses, strict=True)
    return [
        write(name, seed, **({} if loss is None else whole(loss)))
        for name, row in rows
        for seed, loss in enumerate(row)
    ]


def test_archives_stack_them(small_set):
    losses = np.arange(9.0).reshape(3, 3)
    losses[2] = np.nan
    write_all(small_set, losses.tolist())
    archive(TASK, small_set)
    arrays = utils.load_archive(TASK, small_set.name)
    assert has_whole(arrays)
    for i, split in enumerate(SPLITS):
        np.testing.assert_array_equal(last_losses(arrays, split, True), losses + i)
        np.testing.assert_array_equal(arrays[f"final/num_examples/{split}"], 60)
        of_curve = arrays[f"eval/{split}/loss"][:, :, -1]
        np.testing.assert_array_equal(last_losses(arrays, split, False), of_curve)


def test_an_archive_of_some_with_and_some_without_has_none(small_set):
    write_all(small_set, [[1.0, 2.0, 3.0], [1.0, None, 3.0], [1.0, 2.0, 3.0]])
    archive(TASK, small_set)
    arrays = utils.load_archive(TASK, small_set.name)
    assert not has_whole(arrays)
    assert not [key for key in arrays if key.startswith("final/")]
    assert last_losses(arrays, "test", False).shape == (3, 3)


def test_of_one_trial():
    arrays = result("SGD_lr0.1", 0, **whole(7.0))
    assert last_losses(arrays, "test", True) == 9.0
    assert last_losses(arrays, "test", False) == 1.0
    assert not has_whole(result("SGD_lr0.1", 0))
    assert not has_whole(WHOLE_KEYS[:2])
    path = write("SGD_lr0.1", 0, **whole(7.0))
    read = read_trial_losses(path)
    assert (read.outer_valid, read.test, read.initial) == (8.0, 9.0, 3.0)


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("final/test/loss", np.zeros(3, np.float32), "axes"),
        ("final/test/loss", np.asarray("low"), "should hold"),
        ("final/num_examples/test", np.int64(0), "it holds 0"),
        ("final/num_examples/test", np.float32(1.0), "whole numbers"),
    ],
)
def test_what_they_must_not_hold(key, value, problem):
    path = write("SGD_lr0.1", 0)
    arrays = {**result("SGD_lr0.1", 0), **whole(1.0), key: value}
    utils.write_npz(path, {k: np.asarray(v) for k, v in arrays.items()})
    with pytest.raises(DamagedFileError, match=problem) as error:
        read_result(path)
    assert key in str(error.value)
