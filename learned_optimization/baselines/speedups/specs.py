"""Which normalizers there are, how each is built, and where it is found."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from learned_optimization import environment, filesystem
from learned_optimization.baselines.analysis.left_out import (
    LeftOut,
    OnLeftOut,
    check_some_left,
)
from learned_optimization.baselines.results.archives import find_archive
from learned_optimization.baselines.results.format import read_archive
from learned_optimization.baselines.speedups.curve import EMA, build_curve
from learned_optimization.baselines.speedups.files import (
    SUFFIX,
    Entry,
    check_output,
    read_entries,
    write_entries,
)
from learned_optimization.baselines.speedups.normalizer import (
    NonFinite,
    NormalizerMap,
    check_nonfinite,
)
from learned_optimization.baselines.sweeps.trials import versions
from learned_optimization.errors import (
    LoptError,
    MissingArchiveError,
    MissingNormalizerError,
    UnknownNameError,
)
from learned_optimization.tasks.datasets.locations import data_dir

PACKAGED = Path(__file__).parent.parent / "normalizer_data"
"""Folder of the files that are part of the package."""


def own_folder() -> str:
    """Return the user's folder of normalizers.

    It is `LOPT_NORMALIZERS_DIR`, or the folder `normalizers` of `LOPT_DATA_DIR`.
    """
    variable = "LOPT_NORMALIZERS_DIR"
    if os.environ.get(variable):
        return environment.folder(variable, "", is_remote_allowed=True)
    return str(data_dir() / "normalizers")


@dataclass(frozen=True)
class NormalizerSpec:
    """A normalizer: which baseline, and how finely its curve is kept.

    Attributes:
      name: the normalizer's name.
      hparam_sets: sets the baseline is the best of.
      num_points: points of its curve.
      num_steps: length of the baseline's runs.
      shorter: name of a normalizer of the same baseline with a shorter horizon, which
        stands in where this one is not there; None if there is none.
    """

    name: str
    hparam_sets: tuple[str, ...]
    num_points: int
    num_steps: int
    shorter: str | None = None

    def build_and_write(
        self,
        tasks: Sequence[str],
        output_path: str | os.PathLike,
        overwrite: bool = False,
        *,
        num_resamples: int = 500,
        level: float = 0.95,
        bootstrap_seed: int = 0,
        on_left_out: OnLeftOut | None = None,
    ) -> str:
        """Build normalizers of tasks from archives, and add them to a file.

        Beside `FILE.json`, which has the published form, `FILE.info.json` holds the
        bands and where the curves come from. The same archives give the same bytes.

        Args:
          tasks: names of tasks whose archives are there.
          output_path: the file; tasks it has already stay.
          overwrite: replace tasks that it has already.
          num_resamples: draws of the baseline's seeds that make the band.
          level: of the band, in (0, 1).
          bootstrap_seed: of the draws.
          on_left_out: told of each task whose baseline is archived and has no curve,
            while the others are built; where it is None, that is an error.

        Returns:
          The text of the file.

        Raises:
          MissingArchiveError: if an archive is missing.
          LoptError: if the file has a task already, if a baseline (or every one) has
            no curve, or an argument is wrong. Nothing is written then.
        """
        if isinstance(tasks, str) or not tasks:
            raise LoptError(
                f"tasks must be a list of at least one name, got {tasks!r}."
            )
        path = os.path.expanduser(os.fspath(output_path))
        check_output(path)
        entries = dict(read_entries(path)) if filesystem.exists(path) else {}
        there = [task for task in tasks if task in entries]
        if there and not overwrite:
            raise LoptError(
                f"{path} has {', '.join(there)} already. Choose another file, or "
                "replace them with overwrite=True."
            )
        left: list[LeftOut] = []
        for task in tasks:
            try:
                curve = build_curve(
                    task,
                    self.hparam_sets,
                    self.num_points,
                    num_resamples=num_resamples,
                    level=level,
                    seed=bootstrap_seed,
                )
                entries[task] = Entry(curve, self._provenance(task))
            except MissingArchiveError:
                raise
            except LoptError as error:
                if on_left_out is None:
                    raise
                left.append(LeftOut(task, "", str(error)))
        check_some_left(set(tasks) - {one.task_name for one in left}, left)
        text = write_entries(path, entries)
        if on_left_out is not None:
            for one in left:
                on_left_out(one)
        return text

    def normalizer_map(
        self,
        path: str | os.PathLike | None = None,
        nonfinite: NonFinite = "zero",
    ) -> NormalizerMap:
        """Return the normalizer of each task there is one for.

        Args:
          path: path or address of the file; if None, the one named after the
            normalizer in `own_folder()`, where `lopt normalize fetch` keeps it, or
            else the one that is part of the package. Where there is neither, the
            packaged one of the same baseline with a shorter horizon stands in, with
            a warning.
          nonfinite: what losses that are not finite map to: `zero` or `nan`.

        Returns:
          Task name to a function of losses that may be jitted and vmapped.

        Raises:
          ResultError: if there is no such file, or it is not of the form.
        """
        if path is None:
            path = self._default_path()
        return find(path, nonfinite)

    def _default_path(self) -> str:
        if self.shorter is None or _existing(self.name) is not None:
            return find_file(self.name)
        path = find_file(self.shorter)
        most = NORMALIZERS[self.shorter].num_steps
        warnings.warn(
            f"{self.name} is not there; {self.shorter} stands in: it counts steps of "
            f"the same baseline, but no more than {most:,} of them, on the "
            f"tasks of {path}. `speedups.fetch.fetch({self.name!r})` fetches the "
            "published one.",
            stacklevel=3,
        )
        return path

    def _provenance(self, task: str) -> dict[str, Any]:
        sets = " ".join(self.hparam_sets)
        return {
            "normalizer": self.name,
            "hparam_sets": list(self.hparam_sets),
            "split": "train",
            "ema": EMA,
            "commands": [
                f"lopt sweep {task} {sets}",
                f"lopt normalize build {self.name} {task} -o {self.name}{SUFFIX}",
            ],
            "built_with": versions(),
            "archives": {s: _recorded(find_archive(task, s)) for s in self.hparam_sets},
        }


def _recorded(path: str) -> dict[str, Any]:
    """Return what an archive says of how it was trained; others' say less than ours."""
    keys = ("seed", "versions", "accelerator_kind", "synthetic_data")
    columns = read_archive(path, keys, missing_ok=True)
    # They are mostly one value for all trials; of seeds there are a few.
    return {key: np.unique(values).tolist() for key, values in columns.items()}


def find(
    name_or_path: str | os.PathLike, nonfinite: NonFinite = "zero"
) -> NormalizerMap:
    """Return the normalizers of a file, or of the name of a row of `NORMALIZERS`.

    Args:
      name_or_path: a path that ends in `.json`, or a name.
      nonfinite: as of `NormalizerSpec.normalizer_map`.

    Raises:
      ResultError: if there is no such file, or it is not of the form.
      UnknownNameError: if it is neither a name nor ends in `.json`.
    """
    check_nonfinite(nonfinite)
    path = find_file(name_or_path)
    return NormalizerMap(
        {task: e.normalizer(task, nonfinite) for task, e in read_entries(path).items()},
        path,
    )


def find_file(name_or_path: str | os.PathLike) -> str:
    """Return the path of the file that `find` reads.

    Raises:
      MissingNormalizerError: if no file of that name is here.
      UnknownNameError: if it is neither a name nor ends in `.json`.
    """
    given = os.path.expanduser(os.fspath(name_or_path))
    if given.endswith(SUFFIX):
        return given
    if given not in NORMALIZERS:
        raise UnknownNameError(
            "normalizer", given, NORMALIZERS, f"or name a file that ends in {SUFFIX}"
        )
    path = _existing(given)
    if path is None:
        raise MissingNormalizerError(
            given,
            _paths(given),
            NORMALIZERS[given].hparam_sets,
            is_published=given in PUBLISHED,
        )
    return path


def _paths(name: str) -> list[str]:
    """Return where a normalizer may be kept, the user's own folder first."""
    folders = (own_folder(), str(PACKAGED))
    return [filesystem.join(folder, name + SUFFIX) for folder in folders]


def _existing(name: str) -> str | None:
    """Return where a normalizer is kept; a folder out of reach is an error."""
    return next((path for path in _paths(name) if filesystem.exists(path)), None)


def _published(
    name: str, optimizers: Sequence[str], shorter: str | None = None
) -> list[NormalizerSpec]:
    return [
        NormalizerSpec(
            name + version,
            tuple(f"{o}LR_{n}_R5" for o in optimizers),
            points,
            n,
            shorter,
        )
        for version, n, points in (("", 100_000, 512), ("_v2", 300_000, 2_048))
    ]


NORMALIZERS: Mapping[str, NormalizerSpec] = {
    row.name: row
    for row in (
        *_published("speedup_over_adam", ["Adam"], "speedup_over_adam_10000"),
        *_published(
            "speedup_over_multiple_baselines",
            ["Adam", "AdamSqrtDecay", "AdamExpDecay", "RAdam"],
        ),
        *(
            NormalizerSpec(f"speedup_over_adam_{n}", (f"AdamLR_{n}_R5",), 512, n)
            for n in (1_000, 2_000, 10_000)
        ),
    )
}
"""Every normalizer by name; a new one is a row here, and two lines in its face."""

PUBLISHED = tuple(n for n in NORMALIZERS if NORMALIZERS[n].num_steps > 10_000)
"""Names of those that were published with VeLO."""
