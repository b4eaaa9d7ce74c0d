"""`lopt release verify`: are its bytes, its form and its trials what they should be?"""

from __future__ import annotations

import time
from typing import Annotated

import typer

from learned_optimization import configuration, filesystem
from learned_optimization.baselines.release import places
from learned_optimization.baselines.release.manifest import (
    NAME,
    Manifest,
    read_manifest,
)
from learned_optimization.baselines.release.places import Release
from learned_optimization.baselines.release.verify import Retrained, Verification
from learned_optimization.baselines.release.verify import verify as verify_release
from learned_optimization.baselines.sweeps.replay import TOLERANCE
from learned_optimization.cli.choosing import import_files
from learned_optimization.cli.options import GinImports, Imports
from learned_optimization.cli.output import folder_of, say
from learned_optimization.cli.release_names import OFF, RELEASE, unknown
from learned_optimization.errors import LoptError, MissingFileError
from learned_optimization.eval_training import keep_compiled, use_all_cores


def verify(
    release: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME|FOLDER]",
            help="A release on this machine, or the folder of one; where a name is of "
            f"both, {RELEASE}NAME or ./NAME. Every one on this machine by default.",
        ),
    ] = None,
    retrain: Annotated[
        int,
        typer.Option(
            min=0, metavar="N", help="Train N trials again, drawn from all of them."
        ),
    ] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of that draw.")] = 0,
    imports: Imports = None,
    modules: GinImports = None,
) -> None:
    """Check a release: its bytes, its form, and trials trained again.

    Exits with code 1 if anything is wrong, or a trial differs by more than rounding
    explains.
    """
    import_files(imports)
    configuration.import_modules(modules or [])
    if retrain:
        use_all_cores()
        keep_compiled()
    damaged = [] if release else places.damaged()
    for error in damaged:
        say(f"error: {error}", err=True)
    is_good = not damaged
    for one in _named(release):
        is_good &= _verify_one(one, retrain, seed)
    if not is_good:
        raise typer.Exit(1)


def _named(name: str | None) -> list[Release]:
    here = places.releases()
    if name is None:
        if not here:
            why = OFF if places.are_off() else "fetch or build one"
            raise LoptError(f"there is no release on this machine: {why}.")
        return here
    wanted = name.removeprefix(RELEASE)
    named = [release for release in here if release.name == wanted]
    folder = folder_of(name)
    is_folder = wanted == name and filesystem.exists(folder)
    if not named and not is_folder:
        raise unknown(wanted, {r.name for r in here})
    if not named:
        return [Release(folder, _manifest_in(folder), is_packaged=False)]
    others = [_where(one) for one in named if folder_of(one.folder) != folder]
    if is_folder and others and filesystem.exists(filesystem.join(folder, NAME)):
        raise LoptError(
            f"{name} is a release ({', '.join(others)}) and also a folder with one, "
            f"{folder}: say {RELEASE}{name} for the first, or ./{name} for the second."
        )
    return named


def _manifest_in(folder: str) -> Manifest:
    try:
        return read_manifest(folder)
    except MissingFileError as error:
        raise LoptError(
            f"{folder} has no {NAME}, so it is no release: name the folder of one, as "
            "`lopt release build` and `fetch` make it."
        ) from error


def _where(release: Release) -> str:
    return f"{'in the package, ' if release.is_packaged else ''}{release.folder}"


def _verify_one(release: Release, num_retrained: int, seed: int) -> bool:
    start = time.monotonic()
    manifest: Manifest = release.manifest
    say(f"release {release.name}, {_where(release)}")

    def tell(trial: Retrained) -> None:
        said = _said_of(trial)
        where = f"{trial.archive.task}, {trial.opt_name}, seed {trial.seed}"
        say(f"{where} ({trial.archive.num_steps:,} steps): {said}")

    done = verify_release(release, num_retrained, seed, tell)
    for problem in done.problems:
        say(f"error: {problem}", err=True)
    say(
        f"{release.name}: {done.num_archives:,} archives, {manifest.num_trials:,} "
        f"trials, {manifest.num_bytes:,} bytes; {done.num_bad:,} archives are bad"
    )
    if done.retrained:
        say(f"{_summary(done)}; {time.monotonic() - start:.0f} s")
    return done.is_good


def _summary(done: Verification) -> str:
    """Return what trials that were trained again are, all of them in one line."""
    same = sum(trial.is_same for trial in done.retrained)
    text = f"{same:,} of {len(done.retrained):,} trials trained again are the same"
    if amplified := sum(trial.is_amplified for trial in done.retrained):
        text += f", {amplified:,} as far off as rounding alone"
    if failed := len(done.retrained) - len(done.trained):
        text += f", {failed:,} could not be trained"
    if done.worst is not None:
        text += (
            f"; largest relative difference {done.worst.largest:.3g} "
            f"({TOLERANCE:g} is allowed)"
        )
    return text


def _said_of(trial: Retrained) -> str:
    if trial.problem:
        return f"could not be trained: {trial.problem}"
    if not trial.key:
        return "the same"
    difference = f"{trial.largest:.3g} in {trial.key}"
    if trial.is_same:
        return f"{difference}, within {TOLERANCE:g}"
    alone = (
        "what rounding alone makes was not measured"
        if trial.by_rounding is None
        else f"rounding alone makes {trial.by_rounding:.3g}"
    )
    return (
        f"{difference}, {alone}"
        if trial.is_amplified
        else (f"{difference}, beyond {TOLERANCE:g}; {alone}")
    )
