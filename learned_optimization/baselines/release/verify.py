"""Verifies a release: its bytes, its form, and some of its trials trained again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from learned_optimization.baselines.release import agreement, packing
from learned_optimization.baselines.release.manifest import ReleasedArchive
from learned_optimization.baselines.release.places import (
    Release,
    Released,
    read_checked,
    readable,
)
from learned_optimization.baselines.release.thin import thinned_of
from learned_optimization.baselines.results.format import (
    Result,
    check_arrays,
    read_archive,
)
from learned_optimization.baselines.sets.registry import known_hparam_sets
from learned_optimization.baselines.sweeps.replay import (
    ROUNDINGS,
    TOLERANCE,
    train_again,
)
from learned_optimization.errors import DamagedFileError, LoptError, check_at_least

_NUM_AXES = 2


@dataclass(frozen=True)
class Problem:
    """What is wrong with an archive of a release.

    Attributes:
      archive: the archive.
      problem: what is wrong, as a sentence.
    """

    archive: ReleasedArchive
    problem: str


@dataclass(frozen=True)
class Retrained:
    """A trial that was trained again.

    Attributes:
      archive: the archive it is of.
      opt_name: its configuration.
      seed: its seed.
      largest: largest relative difference, beyond what rounding explains, of the losses
        of its curves up to step `SAME_STEPS`, and over whole splits where it has no
        more steps than that; infinite where one is finite and the other is not.
      key: the key with that difference; empty if all are the same.
      by_rounding: the largest difference of two new results that are rounded in
        different ways; measured where `largest` is beyond `TOLERANCE`.
      is_amplified: whether that explains the difference, see `agreement.is_amplified`.
      problem: why it could not be trained again; empty if it was.
    """

    archive: ReleasedArchive
    opt_name: str
    seed: int
    largest: float = 0.0
    key: str = ""
    by_rounding: float = 0.0
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
      problems: of archives.
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
    def worst(self) -> Retrained | None:
        """The trial that differs most, of those not explained if there are any.

        None if none was trained again.
        """
        return max(
            self.retrained,
            key=lambda trial: (
                not trial.is_good,
                float("inf") if trial.problem else trial.largest,
            ),
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
      LoptError: if a number is wrong, or there are not so many trials.
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
    for archive, config, place in _drawn(good, num_retrained, seed):
        done.retrained.append(_retrain(release, archive, config, place))
        on_retrained(done.retrained[-1])
    return done


def check_archive(release: Release, archive: ReleasedArchive) -> None:
    """Check bytes, form and trials of one archive of a release.

    Raises:
      ResultError: saying what is wrong.
    """
    path = release.path_of(archive)
    content = read_checked(path, archive)
    if archive.file.endswith(packing.SUFFIX):
        arrays = packing.unpack(content, path)
        check_arrays(path, arrays, _NUM_AXES)
    else:
        arrays = read_archive(path)
    if "eval/xs" not in arrays:
        raise DamagedFileError(path, "it is no archive", key="eval/xs")
    said = archive.num_configs, archive.num_seeds, archive.evaluations
    if arrays["eval/xs"].shape != said:
        raise DamagedFileError(
            path,
            f"it is of {arrays['eval/xs'].shape} configurations, seeds and "
            f"evaluations, and the manifest says {said}",
        )
    thinned = thinned_of(arrays)
    whole = thinned.evaluations if thinned else archive.evaluations
    if archive.is_thin != (thinned is not None) or whole != archive.of_evaluations:
        raise DamagedFileError(path, "the manifest says otherwise of what it lacks")
    _check_names(path, archive, arrays)


def _check_names(path: str, archive: ReleasedArchive, arrays: Result) -> None:
    """Refuse an archive of other configurations than those of the set it is of."""
    known = known_hparam_sets([archive.hparam_set]).get(archive.hparam_set)
    if known is None or not archive.is_thin:
        # A set of somebody's own, or as others published it.
        return
    names = [str(name) for name in arrays["opt_name"][:, 0]]
    if names != list(known.opt_names):
        raise DamagedFileError(
            path,
            f"its configurations are not those of {archive.hparam_set}: it has "
            f"{', '.join(names[:3])}, ..., and the set {known.opt_names[0]}, ...",
            "The set has changed since: build that archive again.",
        )


def _drawn(
    archives: list[ReleasedArchive], num: int, seed: int
) -> list[tuple[ReleasedArchive, int, int]]:
    """Return archives with places of a configuration and a seed, each trial once."""
    sizes = [archive.num_trials for archive in archives]
    total = sum(sizes)
    if num > total:
        raise LoptError(
            f"the release has {total:,} trials that can be read, and {num:,} are to be "
            "trained again: draw fewer."
        )
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
    arrays = read_archive(readable(Released(release, archive)))
    stored = {key: array[config, place] for key, array in arrays.items()}
    opt_name = str(stored.get("opt_name", ""))
    seed = int(stored.get("seed", -1))
    where = f"{release.path_of(archive)}, {opt_name}, seed {seed}"
    try:
        _, result = train_again(where, stored)
    except LoptError as error:
        return Retrained(archive, opt_name, seed, problem=str(error))
    found = agreement.gaps(stored, result)
    key, largest = agreement.worst(found)
    if largest <= TOLERANCE or "strategy" not in stored:
        return Retrained(archive, opt_name, seed, largest, key)
    seen = agreement.at_steps_of(stored, result)
    by_rounding = agreement.largest(
        agreement.gaps(seen, train_again(where, stored, other)[1])
        for other in ROUNDINGS
    )
    return Retrained(
        archive,
        opt_name,
        seed,
        largest,
        key,
        by_rounding=agreement.worst(by_rounding)[1],
        is_amplified=agreement.is_amplified(found, by_rounding),
    )
