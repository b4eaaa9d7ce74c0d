"""One file or folder that the disk does not give is bad or left out, and said to be.

Tests run as a user who may read everything, on disks without a fault: the calls to the
operating system fail in their stead.
"""

import errno
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from learned_optimization import filesystem
from learned_optimization.baselines import utils
from learned_optimization.baselines.results import selecting
from learned_optimization.baselines.results.index import trial_entries
from learned_optimization.baselines.results.leftovers import leftovers, remove
from learned_optimization.baselines.results.status import status
from learned_optimization.baselines.sets.hparam_set import HParamSet
from learned_optimization.baselines.sweeps.sweep import missing_trials, set_trials
from learned_optimization.errors import ResultError
from learned_optimization.filesystem import UnlistedWarning
from tests.baselines.files import TASK, write, write_set
from tests.cli.running import lopt_here


class _Failing:
    """A file that is open, and fails when it is read."""

    def __init__(self, file: Any, code: int):
        self._file, self._code = file, code

    def __enter__(self):
        return self

    def __exit__(self, *args: object) -> None:
        self._file.close()

    def read(self, *args: int) -> bytes:
        raise OSError(self._code, os.strerror(self._code))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@contextmanager
def failing(at: str, path: str, code: int) -> Iterator[None]:
    """Make a call of the operating system fail for a path and what is below it."""

    def is_it(given: Any) -> bool:
        text = os.fspath(given) if isinstance(given, str | os.PathLike) else ""
        return f"{text}/".startswith(f"{path}/")

    def fail(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(given: Any = ".", *args: Any, **kwargs: Any) -> Any:
            if is_it(given):
                raise OSError(code, os.strerror(code))
            return real(given, *args, **kwargs)

        return call

    def open_(descriptor: Any, mode: str) -> Any:
        file = os.fdopen(descriptor, mode)
        is_wanted = is_it(os.readlink(f"/proc/self/fd/{descriptor}"))
        return _Failing(file, code) if is_wanted else file

    with pytest.MonkeyPatch.context() as patch:
        if at == "read":
            patch.setattr(filesystem, "open", open_, raising=False)
        else:
            calls = ("stat", "lstat") if at == "stat" else (at,)
            for name in calls:
                patch.setattr(os, name, fail(getattr(os, name)))
        yield


@pytest.mark.parametrize(
    ("at", "code"),
    [
        ("read", errno.EIO),
        ("open", errno.EIO),
        ("stat", errno.EIO),
        ("open", errno.EUCLEAN),
        ("open", errno.EACCES),
    ],
)
def test_a_file_that_cannot_be_read_is_bad_until_it_can(
    at: str, code: int, small_set: HParamSet
) -> None:
    paths = write_set(small_set)
    root = utils.get_root_baseline_dir()
    with failing(at, paths[4], code):
        entries = trial_entries(root)
        assert trial_entries(root) == entries
        [bad] = [entry for entry in entries if entry.status == "bad"]
        assert len(entries) == len(paths)
        assert bad.path == paths[4]
        assert f"{paths[4]}: {os.strerror(code)}." in bad.problem
        for check in (False, True):
            [row] = status([TASK], [small_set], check=check)
            assert row.bad_files == [(bad.path, bad.problem)]
            assert (row.counts["done"], row.counts["missing"]) == (8, 1)
        missing, unreadable = missing_trials(set_trials(TASK, small_set))
        assert len(missing) == 1
        assert list(unreadable) == [paths[4]]
        # It can be chosen, to be deleted.
        [chosen] = selecting.files_of(TASK, [], ["bad"])
        assert chosen.path == paths[4]
    # It is not remembered as bad, by anything above.
    assert {entry.status for entry in trial_entries(root)} == {"done"}


def test_what_is_no_fault_of_the_file_stops(small_set: HParamSet) -> None:
    paths = write_set(small_set)
    for at, code in (("open", errno.EMFILE), ("scandir", errno.ENFILE)):
        with (
            failing(at, os.path.dirname(paths[4]), code),
            pytest.raises(ResultError, match=os.strerror(code)),
        ):
            trial_entries(utils.get_root_baseline_dir())


@pytest.mark.parametrize("at", ["scandir", "stat"])
def test_a_folder_that_cannot_be_listed_is_said_and_the_rest_counts(
    at: str, small_set: HParamSet, tmp_path: Path
) -> None:
    paths = write_set(small_set)
    lost = tmp_path / "baselines" / "lost+found"
    lost.mkdir()
    (tmp_path / "archives" / "lost+found").mkdir(parents=True)
    with (
        failing(at, str(lost), errno.EACCES),
        failing(at, str(tmp_path / "archives" / "lost+found"), errno.EACCES),
        warnings.catch_warnings(record=True) as said,
    ):
        warnings.simplefilter("always")
        for _ in range(2):
            [row] = status([], [], [small_set])
            assert row.counts["done"] == len(paths)
        assert leftovers() == []
        assert lopt_here("status").returncode == 0
        assert lopt_here("rm", "--only", "leftovers", "--yes").returncode == 0
    # Once for each of the two.
    texts = [str(w.message) for w in said if w.category is UnlistedWarning]
    assert len(texts) == len(set(texts)) == 2
    assert all("lost+found: Permission denied" in text for text in texts)


@pytest.mark.parametrize("level", ["setting", "plan"])
@pytest.mark.parametrize("num_configs", [3, 25])
def test_results_that_cannot_be_listed_are_not_missing(
    level: str, num_configs: int
) -> None:
    names = [f"SGD_lr{i}.5" for i in range(num_configs)]
    settings = tuple({"learning_rate": i + 0.5} for i in range(num_configs))
    many = HParamSet("Many", "SGD", tuple(names), settings, 20, 1)
    paths = write_set(many)
    plan = os.path.dirname(paths[1])
    folder = plan if level == "plan" else os.path.dirname(plan)
    with failing("scandir", folder, errno.EACCES), failing("stat", plan, errno.EACCES):
        for ask in (
            lambda: missing_trials(set_trials(TASK, many)),
            lambda: selecting.files_of(TASK, [many], ["results"]),
        ):
            with pytest.raises(ResultError, match=f"cannot list .*{names[1]}"):
                ask()
        with pytest.warns(UnlistedWarning, match=names[1]):
            [row] = status([TASK], [many])
        assert row.counts["done"] == num_configs - 1
    # A folder of another setting stops nobody.
    other = os.path.dirname(write("Other", 0, num_steps=20))
    with failing("scandir", other, errno.EACCES):
        if num_configs == 25:
            with pytest.warns(UnlistedWarning, match="Other"):
                assert missing_trials(set_trials(TASK, many)) == ([], [])
        else:
            assert missing_trials(set_trials(TASK, many)) == ([], [])


def test_a_leftover_that_cannot_be_deleted_is_an_error(tmp_path: Path) -> None:
    folder = tmp_path / "left"
    (folder / "inside").mkdir(parents=True)
    with (
        failing("rmdir", str(folder), errno.EACCES),
        pytest.raises(ResultError, match=f"cannot delete {folder}: Permission"),
    ):
        remove(str(folder))
    remove(str(folder))
    assert not folder.exists()
    remove(str(folder))
