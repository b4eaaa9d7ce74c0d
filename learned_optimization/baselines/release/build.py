"""Builds a release: archive by archive, trained where there is none, and thinned.

What is built is there at once, in files of its own; the same call goes on from there.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from learned_optimization import filesystem
from learned_optimization.baselines.layout import get_baseline_archive_path
from learned_optimization.baselines.release import packing
from learned_optimization.baselines.release.adding import add
from learned_optimization.baselines.release.checks import check_curves, check_is_of
from learned_optimization.baselines.release.describe import describe
from learned_optimization.baselines.release.manifest import (
    Manifest,
    ReleasedArchive,
    check_name,
    read_manifest,
)
from learned_optimization.baselines.release.manifest_fields import MAX_ARCHIVE_BYTES
from learned_optimization.baselines.release.places import read_checked
from learned_optimization.baselines.release.thin import thin
from learned_optimization.baselines.results.archiving import archive as archive_set
from learned_optimization.baselines.results.format import read_archive
from learned_optimization.baselines.sets.checkpoint_sets import TEMPLATES
from learned_optimization.baselines.sets.hparam_set import HParamSet
from learned_optimization.baselines.sets.published import PUBLISHED_SET_NAMES
from learned_optimization.baselines.sets.registry import all_hparam_sets, get_hparam_set
from learned_optimization.baselines.speedups.specs import NORMALIZERS
from learned_optimization.baselines.suites.suite import Suite
from learned_optimization.baselines.sweeps.sweep import run_sweep
from learned_optimization.baselines.sweeps.trials import versions
from learned_optimization.errors import (
    FileContentError,
    LoptError,
    MissingFileError,
    ResultError,
)
from learned_optimization.learned_optimizers.pretrained import pretrained_names

Pair = tuple[str, HParamSet]
"""A task's name and a set."""

# More than these, evaluations of a normalizer's baseline are thinned as well.
_MOST_EVALUATIONS = 201

# Sets that train for hours on one task: those who want them name them.
_LONG = "Shampoo128"
_NOT_SO_LONG = "Shampoo128SgdEvery10LR"
_PUBLISHED_STEPS = 10_000
_PERCEPTRONS = "ImageMLP_"


def everything_of(suite: Suite) -> list[Pair]:
    """Return the tasks and sets of a suite's whole release.

    They are, of each task of the suite, every set of the suite's length, and the
    package's pretrained learned optimizers as they are; and of its perceptrons also the
    sets over learning rates that were published at 10,000 steps. Those of Shampoo are
    not, as they train for hours on one task; of the suite's length one is, which
    computes roots at every tenth step.

    Args:
      suite: the suite.
    """
    known = all_hparam_sets()
    own = [
        s
        for s in known.values()
        if s.num_steps == suite.num_steps
        and (not s.name.startswith(_LONG) or s.name.startswith(_NOT_SO_LONG))
    ]
    as_trained = f"LOpt_{suite.num_steps}_R{suite.seeds}"
    if as_trained in TEMPLATES:
        own += [get_hparam_set(f"{n}_{as_trained}") for n in pretrained_names()]
    published = [
        known[name]
        for name in PUBLISHED_SET_NAMES
        if name.endswith(f"LR_{_PUBLISHED_STEPS}_R5") and not name.startswith(_LONG)
    ]
    pairs = [(task, s) for task in suite.tasks for s in own]
    perceptrons = [t for t in suite.tasks if t.startswith(_PERCEPTRONS)]
    pairs += [(task, s) for task in perceptrons for s in published]
    # Where the suite has their length, they are among its own.
    return list({(task, s.name): (task, s) for task, s in pairs}.values())


def train_and_archive(task: str, hparam_set: HParamSet) -> None:
    """Train the trials of a set on a task that have no result yet, and archive it.

    Raises:
      LoptError: if trials fail, or as `run_sweep`.
    """
    summary = run_sweep([task], [hparam_set])
    if summary.num_failed:
        raise LoptError(
            f"{summary.num_failed} trials of {hparam_set.name} on {task} failed: "
            f"{summary.failures[0]}"
        )
    archive_set(task, hparam_set)


def _raise(error: LoptError) -> None:
    raise error


def build(
    pairs: Iterable[Pair],
    folder: str,
    name: str,
    command: str = "",
    options: Sequence[str] = (),
    train: Callable[[str, HParamSet], object] = train_and_archive,
    on_archive: Callable[[ReleasedArchive, bool], object] = lambda *_: None,
    on_problem: Callable[[LoptError], object] = _raise,
) -> Manifest:
    """Build a release, or what of it is not built yet.

    A set is trained on a task where there is no archive of one's own, and thinned where
    the release has none of that archive, or a damaged one, or one of a set of that name
    as it was before. So an archive that was made again replaces the one of the release.
    Several processes may add to one folder.

    Args:
      pairs: tasks and sets, in the order in which they are trained.
      folder: folder of the release; what it has of other tasks and sets stays.
      name: of the release, if there is none in the folder yet.
      command: what makes the release again, for its manifest.
      options: what each command needs to know the tasks and sets, as `--set FILE`.
      train: makes the archive of a set on a task.
      on_archive: told of each archive of `pairs`, and whether it was there before.
      on_problem: told of each that cannot be built, and why; the others are built all
        the same, unless it raises, as it does by default.

    Returns:
      The manifest, which is that of the folder.

    Raises:
      LoptError: if the folder has another release, or no release can have the name; or
        as `on_problem`. What was built before is there.
      ResultError: if the folder cannot be written to.
    """
    check_name(name)
    filesystem.check_writable(folder)
    begin = partial(_begin, folder, name, command)
    begin()
    for task, hparam_set in pairs:
        try:
            archive, is_there = _build_one(
                folder, begin, task, hparam_set, options, train
            )
        except LoptError as error:
            problem = LoptError(f"{hparam_set.name} on {task}: {error}")
            problem.__cause__ = error
            on_problem(problem)
        else:
            on_archive(archive, is_there)
    return begin()


def _begin(folder: str, name: str, command: str) -> Manifest:
    try:
        manifest = read_manifest(folder)
    except MissingFileError:
        manifest = Manifest(name)
    if manifest.name != name:
        raise LoptError(
            f"{folder} has the release {manifest.name} and not {name}: choose another "
            "folder or that name."
        )
    if manifest.source:
        raise LoptError(
            f"{folder} has archives of {manifest.source}: choose another folder."
        )
    # What makes the release again is all that made it.
    commands = dict.fromkeys([*filter(None, manifest.command.split("\n")), command])
    [package] = [v for v in versions() if v.startswith("optimizer-baselines")]
    return replace(manifest, command="\n".join(filter(None, commands)), made_by=package)


def _build_one(
    folder: str,
    begin: Callable[[], Manifest],
    task: str,
    hparam_set: HParamSet,
    options: Sequence[str],
    train: Callable[[str, HParamSet], object],
) -> tuple[ReleasedArchive, bool]:
    """Return an archive that the release has now, and whether it had it before."""
    path = get_baseline_archive_path(task, hparam_set.name)
    # Another process may have built it since.
    known = begin().of(task, hparam_set.name)
    is_there = known is not None and _is_whole(folder, known, hparam_set)
    if not is_there and not filesystem.exists(path):
        train(task, hparam_set)
    if known is not None and is_there and not _is_newer(path, known):
        return known, True
    archive, content = _thinned(task, hparam_set, path, options)
    add(folder, archive, content, begin)
    return archive, False


def _is_whole(folder: str, known: ReleasedArchive, hparam_set: HParamSet) -> bool:
    """Return whether an archive is there undamaged, and of the set as it is now.

    Raises:
      ResultError: if the store or the disk does not say.
    """
    path = filesystem.join(folder, known.file)
    try:
        content = read_checked(path, known)
    except (FileContentError, MissingFileError):
        return False
    try:
        arrays = packing.unpack(content, path)
        check_curves(path, arrays)
        check_is_of(path, arrays, hparam_set)
    except ResultError:
        return False
    return True


def _is_newer(path: str, known: ReleasedArchive) -> bool:
    """Return whether there is an archive at a path that is not the one released."""
    return filesystem.exists(path) and known.whole_sha256 != _sha256_of(path)


def _sha256_of(path: str) -> str:
    content = filesystem.read_all(path, MAX_ARCHIVE_BYTES)
    return hashlib.sha256(content).hexdigest()


def _thinned(
    task: str, hparam_set: HParamSet, path: str, options: Sequence[str]
) -> tuple[ReleasedArchive, bytes]:
    """Return a thin archive of the whole one at a path: its line and its bytes.

    Raises:
      LoptError: if that is of made-up data, or thin already.
      ResultError: if it cannot be read, or is of other trials than those of the set.
    """
    name, whole = hparam_set.name, read_archive(path)
    check_curves(path, whole)
    if bool(np.any(whole.get("synthetic_data", False))):
        raise LoptError(
            "it was trained on made-up data (LOPT_SYNTHETIC_DATA): that says nothing "
            "about optimizers, and no release has it."
        )
    check_is_of(path, whole, hparam_set)
    num_evals = whole["eval/xs"].shape[-1]
    is_baseline = any(name in n.hparam_sets for n in NORMALIZERS.values())
    thinned = thin(whole, is_baseline and num_evals <= _MOST_EVALUATIONS)
    content = packing.pack(thinned)
    archive = describe(
        task,
        name,
        f"{task}/{name}{packing.SUFFIX}",
        content,
        thinned,
        of_evaluations=num_evals,
        command=f"lopt sweep {shlex.join([task, name, *options])}",
        modified=filesystem.info(path).modified,
        whole_sha256=_sha256_of(path),
    )
    return archive, content
