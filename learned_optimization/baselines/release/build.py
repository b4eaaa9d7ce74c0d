"""Builds a release: archive by archive, trained where there is none, and thinned.

What is built is there at once, in files of its own; the same call goes on from there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from learned_optimization import filesystem
from learned_optimization.baselines.layout import get_baseline_archive_path
from learned_optimization.baselines.release import packing
from learned_optimization.baselines.release.manifest import (
    MAX_ARCHIVE_BYTES,
    Manifest,
    ReleasedArchive,
    read_manifest,
    write_manifest,
)
from learned_optimization.baselines.release.thin import thin
from learned_optimization.baselines.results.archiving import archive as archive_set
from learned_optimization.baselines.results.format import Result, read_archive
from learned_optimization.baselines.sets.checkpoint_sets import TEMPLATES
from learned_optimization.baselines.sets.hparam_set import HParamSet
from learned_optimization.baselines.sets.published import PUBLISHED_SET_NAMES
from learned_optimization.baselines.sets.registry import all_hparam_sets, get_hparam_set
from learned_optimization.baselines.speedups.specs import NORMALIZERS
from learned_optimization.baselines.suites.suite import Suite
from learned_optimization.baselines.sweeps.sweep import run_sweep
from learned_optimization.baselines.sweeps.trials import versions
from learned_optimization.errors import LoptError, MissingFileError
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


def build(
    pairs: Iterable[Pair],
    folder: str,
    name: str,
    command: str = "",
    train: Callable[[str, HParamSet], object] = train_and_archive,
    on_archive: Callable[[ReleasedArchive, bool], object] = lambda *_: None,
) -> Manifest:
    """Build a release, or what of it is not built yet.

    A set is trained on a task where there is no archive of one's own, and thinned where
    the release has none of that archive. So an archive that was made again replaces
    the one of the release.

    Args:
      pairs: tasks and sets, in the order in which they are trained.
      folder: folder of the release; what it has of other tasks and sets stays.
      name: of the release, if there is none in the folder yet.
      command: what makes the release again, for its manifest.
      train: makes the archive of a set on a task; what it raises stops the build.
      on_archive: told of each archive of `pairs`, and whether it was there before.

    Returns:
      The manifest, which is that of the folder.

    Raises:
      LoptError: if the folder has another release, or as `train`; what was built before
        is there.
      ResultError: if the folder cannot be written to, or an archive cannot be read.
    """
    filesystem.check_writable(folder)
    manifest = _begin(folder, name, command)
    for task, hparam_set in pairs:
        path = get_baseline_archive_path(task, hparam_set.name)
        known = manifest.of(task, hparam_set.name)
        if not filesystem.exists(path) and (
            known is None or not filesystem.exists(filesystem.join(folder, known.file))
        ):
            train(task, hparam_set)
        if known is not None and _is_built(folder, known, path):
            on_archive(known, True)
            continue
        built = add_archive(folder, task, hparam_set.name, path)
        manifest = manifest.with_archive(built)
        write_manifest(folder, manifest)
        on_archive(built, False)
    return manifest


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


def _is_built(folder: str, known: ReleasedArchive, path: str) -> bool:
    """Return whether the release has an archive already, made of the one at a path."""
    if not filesystem.exists(filesystem.join(folder, known.file)):
        return False
    return not filesystem.exists(path) or known.whole_sha256 == _sha256_of(path)


def _sha256_of(path: str) -> str:
    content = filesystem.read_all(path, MAX_ARCHIVE_BYTES)
    return hashlib.sha256(content).hexdigest()


def add_archive(folder: str, task: str, set_name: str, path: str) -> ReleasedArchive:
    """Write a thin archive into a release's folder; its manifest is not written.

    Args:
      folder: folder of the release.
      task: the task's name.
      set_name: the set's name.
      path: the whole archive.

    Raises:
      LoptError: if the archive is of made-up data, or thin already.
      ResultError: if it cannot be read, or the folder cannot be written to.
    """
    whole = read_archive(path)
    if bool(np.any(whole.get("synthetic_data", False))):
        raise LoptError(
            f"{set_name} on {task} was trained on made-up data (LOPT_SYNTHETIC_DATA): "
            "it says nothing about optimizers, and no release has it."
        )
    num_evals = whole["eval/xs"].shape[-1]
    is_baseline = any(set_name in n.hparam_sets for n in NORMALIZERS.values())
    thinned = thin(whole, is_baseline and num_evals <= _MOST_EVALUATIONS)
    content = packing.pack(thinned)
    file = f"{task}/{set_name}{packing.SUFFIX}"
    target = filesystem.join(folder, file)
    filesystem.write_bytes(target, content)
    return describe(
        task,
        set_name,
        file,
        content,
        thinned,
        of_evaluations=num_evals,
        command=f"lopt sweep {task} {set_name}",
        modified=filesystem.info(path).modified,
        whole_sha256=_sha256_of(path),
    )


def describe(
    task: str,
    set_name: str,
    file: str,
    content: bytes,
    arrays: Result,
    *,
    of_evaluations: int,
    command: str = "",
    modified: float = 0.0,
    whole_sha256: str = "",
) -> ReleasedArchive:
    """Return what a manifest says of an archive.

    Args:
      task: the task's name.
      set_name: the set's name.
      file: relative path of its file.
      content: the file's bytes.
      arrays: what the file holds.
      of_evaluations: evaluations of each trial that the whole archive has.
      command: what trains it again.
      modified: when the whole archive was written, in seconds since 1970; 0 if unknown.
      whole_sha256: digest of the whole archive, of a thin one.
    """
    num_configs, num_seeds, num_evals = arrays["eval/xs"].shape
    date = datetime.fromtimestamp(modified, UTC).date().isoformat() if modified else ""
    return ReleasedArchive(
        task=task,
        hparam_set=set_name,
        file=file,
        sha256=hashlib.sha256(content).hexdigest(),
        num_bytes=len(content),
        num_configs=num_configs,
        num_seeds=num_seeds,
        num_steps=int(arrays["eval/xs"].max()),
        evaluations=num_evals,
        of_evaluations=of_evaluations,
        seeds=tuple(np.unique(arrays["seed"]).tolist()) if "seed" in arrays else (),
        versions=tuple(
            sorted({v for text in _texts(arrays, "versions") for v in text.split("\n")})
        ),
        hardware=", ".join(_hardware(arrays)),
        date=date,
        command=command,
        whole_sha256=whole_sha256,
    )


def _hardware(arrays: Result) -> Sequence[str]:
    counts = np.unique(arrays.get("accelerator_devs", np.empty(0)))
    devices = [str(int(n)) for n in counts]
    kinds = _texts(arrays, "accelerator_kind")
    return [f"{'/'.join(devices)} x {kind}" if devices else kind for kind in kinds]


def _texts(arrays: Result, key: str) -> list[str]:
    return [str(text) for text in np.unique(arrays[key])] if key in arrays else []
