"""Verifies a release: its bytes, its form, and some of its trials trained again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace

import numpy as np

from learned_optimization.baselines.release import agreement, packing
from learned_optimization.baselines.release.checks import check_curves, check_is_of
from learned_optimization.baselines.release.describe import describe
from learned_optimization.baselines.release.manifest import ReleasedArchive
from learned_optimization.baselines.release.places import Release, read_checked
from learned_optimization.baselines.release.thin import (
    LOSS_BITS,
    LOSS_BITS_KEY,
    OTHER_BITS,
    OTHER_BITS_KEY,
    thinned_of,
)
from learned_optimization.baselines.results.format import (
    Result,
    check_arrays,
    parse_archive,
)
from learned_optimization.baselines.sets.registry import known_hparam_sets
from learned_optimization.baselines.sweeps.nudged import train_nudged
from learned_optimization.baselines.sweeps.replay import TOLERANCE, train_again
from learned_optimization.errors import DamagedFileError, LoptError, check_at_least
from learned_optimization.text import brief

_NUM_AXES = 2

# What a manifest says of an archive that its bytes do not.
_NOT_OF_THE_FILE = ("date", "command", "whole_sha256")


@dataclass(frozen=True)
class Problem:
    """What is wrong with a release.

    Attributes:
      archive: the archive with which it is; None if it is with the release.
      problem: what is wrong, as a sentence.
    """

    archive: ReleasedArchive | None
    problem: str

    def __str__(self) -> str:
        """Return the problem, and with which archive it is."""
        if self.archive is None:
            return self.problem
        return f"{self.archive.hparam_set} on {self.archive.task}: {self.problem}"


@dataclass(frozen=True)
class Retrained:
    """A trial that was trained again.

    Attributes:
      archive: the archive it is of.
      opt_name: its configuration; empty where the archive does not say.
      seed: its seed; -1 where the archive does not say.
      largest: largest relative difference, beyond what rounding explains, of the losses
        of its curves up to step `SAME_STEPS`, and over whole splits where it has no
        more steps than that; infinite where one is finite and the other is not.
      key: the key with that difference; empty if all are the same.
      by_rounding: the largest difference of the new result from others that differ in
        nothing but how numbers are rounded; None where it was not measured, as
        `largest` is within `TOLERANCE`, or the trial cannot be trained so.
      is_amplified: whether that explains the difference, see `agreement.is_amplified`.
      problem: why it could not be trained again; empty if it was.
    """

    archive: ReleasedArchive
    opt_name: str
    seed: int
    largest: float = 0.0
    key: str = ""
    by_rounding: float | None = None
    is_amplified: bool = False
    problem: str = ""

    @property
    def is_same(self) -> bool:
        """Whether it was trained, to the same losses within `TOLERANCE`."""
        return not self.problem and self.largest <= TOLERANCE

    @property
    def is_good(self) -> bool:
        """Whether it is the same, but for what rounding makes of it."""
        return self.is_same or self.is_amplified


@dataclass(frozen=True)
class Verification:
    """What verifying a release gave.

    Attributes:
      problems: what is wrong.
      num_archives: archives whose bytes and form were checked.
      retrained: trials that were trained again.
    """

    problems: list[Problem] = field(default_factory=list)
    num_archives: int = 0
    retrained: list[Retrained] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Whether nothing is wrong, and every trial the same but for rounding."""
        return not self.problems and all(trial.is_good for trial in self.retrained)

    @property
    def num_bad(self) -> int:
        """Archives with which something is wrong."""
        return len({p.archive.pair for p in self.problems if p.archive is not None})

    @property
    def trained(self) -> list[Retrained]:
        """Those of the trials to train again that could be."""
        return [trial for trial in self.retrained if not trial.problem]

    @property
    def worst(self) -> Retrained | None:
        """The trial that differs most, of those not explained if there are any.

        None if none could be trained again.
        """
        return max(
            self.trained,
            key=lambda trial: (not trial.is_good, trial.largest),
            default=None,
        )


def verify(
    release: Release,
    num_retrained: int = 0,
    seed: int = 0,
    on_retrained: Callable[[Retrained], object] = lambda _: None,
) -> Verification:
    """Check every archive of a release, and train some of its trials again.

    Nothing is written. Where trials are trained, the global gin configuration is
    replaced.

    Args:
      release: the release.
      num_retrained: trials to train again, drawn from all of them alike.
      seed: of the draw.
      on_retrained: told of each trial.

    Raises:
      LoptError: if a number is wrong.
    """
    check_at_least("the number of trials to train again", num_retrained, 0)
    check_at_least("seed", seed, 0)
    archives = release.manifest.archives
    done = Verification(num_archives=len(archives))
    good = []
    for archive in archives:
        try:
            check_archive(release, archive)
            good.append(archive)
        except LoptError as error:
            done.problems.append(Problem(archive, str(error)))
    num_readable = sum(archive.num_trials for archive in good)
    if num_retrained > num_readable:
        problem = (
            f"{release.name} has {num_readable:,} trials that can be read, and "
            f"{num_retrained:,} are to be trained again: none is. Draw fewer."
        )
        done.problems.append(Problem(None, problem))
        return done
    for archive, config, place in _drawn(good, num_retrained, seed):
        done.retrained.append(_retrain(release, archive, config, place))
        on_retrained(done.retrained[-1])
    return done


def check_archive(release: Release, archive: ReleasedArchive) -> None:
    """Check bytes, form and trials of one archive of a release.

    Raises:
      LoptError: saying what is wrong.
    """
    path = release.path_of(archive)
    content = read_checked(path, archive)
    arrays = _arrays(path, archive, content)
    check_curves(path, arrays)
    thinned = thinned_of(arrays, path)
    if thinned is not None:
        _check_rounding(path, arrays)
    if archive.is_thin != (thinned is not None):
        raise DamagedFileError(path, "the manifest says otherwise of what it lacks")
    num_evals = arrays["eval/xs"].shape[-1]
    found = describe(
        *archive.pair,
        archive.file,
        content,
        arrays,
        of_evaluations=thinned.evaluations if thinned else num_evals,
    )
    for name in (f.name for f in fields(found) if f.name not in _NOT_OF_THE_FILE):
        said, is_so = getattr(archive, name), getattr(found, name)
        if said != is_so:
            raise DamagedFileError(
                path,
                f"its {name} is {brief(is_so)}, and the manifest says {brief(said)}",
            )
    # What is whole is as others published it, and no other is known of a set of
    # somebody's own.
    known = known_hparam_sets([archive.hparam_set]).get(archive.hparam_set)
    if thinned is not None and known is not None:
        check_is_of(path, arrays, known)


def _check_rounding(path: str, arrays: Result) -> None:
    """Refuse an archive that says that it is rounded more than thin ones are.

    What it says is taken off every difference.
    """
    for key, least in ((LOSS_BITS_KEY, LOSS_BITS), (OTHER_BITS_KEY, OTHER_BITS)):
        if (bits := int(arrays[key].min())) < least:
            raise DamagedFileError(
                path, f"its {key} is {bits}, and thin archives have at least {least}"
            )


def _arrays(path: str, archive: ReleasedArchive, content: bytes) -> Result:
    if not archive.file.endswith(packing.SUFFIX):
        return parse_archive(content, path)
    arrays = packing.unpack(content, path)
    check_arrays(path, arrays, _NUM_AXES)
    return arrays


def _drawn(
    archives: list[ReleasedArchive], num: int, seed: int
) -> list[tuple[ReleasedArchive, int, int]]:
    """Return archives with places of a configuration and a seed, each trial once."""
    sizes = [archive.num_trials for archive in archives]
    total = sum(sizes)
    places = np.random.default_rng(seed).choice(total, num, replace=False)
    ends = np.cumsum(sizes)
    drawn = []
    for place in places.tolist():
        of = int(np.searchsorted(ends, place, side="right"))
        archive = archives[of]
        within = place - int(ends[of]) + sizes[of]
        drawn.append((archive, *divmod(within, archive.num_seeds)))
    return drawn


def _retrain(
    release: Release, archive: ReleasedArchive, config: int, place: int
) -> Retrained:
    path = release.path_of(archive)
    trial = Retrained(archive, "", -1)
    try:
        arrays = _arrays(path, archive, read_checked(path, archive))
        axes = arrays["eval/xs"].shape[:_NUM_AXES]
        stored = {
            key: array[config, place]
            for key, array in arrays.items()
            if array.shape[:_NUM_AXES] == axes
        }
        opt_name, seed = str(stored["opt_name"]), int(stored.get("seed", -1))
        trial = Retrained(archive, opt_name, seed)
        return _compared(trial, f"{path}, {opt_name}, seed {seed}", stored)
    except LoptError as error:
        return replace(trial, problem=str(error))


def _compared(trial: Retrained, where: str, stored: Result) -> Retrained:
    """Return a trial with how far it is from the stored one when trained again."""
    _, result = train_again(where, stored)
    found = agreement.gaps(stored, result)
    key, largest = agreement.worst(found)
    trial = replace(trial, largest=largest, key=key)
    if largest <= TOLERANCE or "strategy" not in stored:
        return trial
    seen = agreement.at_steps_of(stored, result)
    by_rounding, is_amplified = None, False
    for other in train_nudged(where, stored):
        apart = agreement.gaps(seen, other)
        by_rounding = agreement.larger(by_rounding, apart) if by_rounding else apart
        if is_amplified := agreement.is_amplified(found, by_rounding):
            break
    return replace(
        trial,
        by_rounding=agreement.worst(by_rounding)[1] if by_rounding else None,
        is_amplified=is_amplified,
    )
