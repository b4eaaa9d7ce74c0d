"""Fetches releases, and archives that others published, and checks them before use.

What lies at an address is either a release, with a manifest, or a folder of archives
`TASK/SET.npz`, as those that were published with VeLO (arXiv:2211.09760). Of the latter
a manifest is made here, with the digests of what came.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from functools import partial

from learned_optimization import filesystem
from learned_optimization.baselines.folder_names import is_plain_name
from learned_optimization.baselines.release.adding import add
from learned_optimization.baselines.release.checks import check_curves
from learned_optimization.baselines.release.describe import describe
from learned_optimization.baselines.release.manifest import (
    Manifest,
    ReleasedArchive,
    read_manifest,
)
from learned_optimization.baselines.release.manifest_fields import MAX_ARCHIVE_BYTES
from learned_optimization.baselines.release.offer import ARCHIVE, Offer, look_at
from learned_optimization.baselines.release.places import (
    Release,
    read_checked,
    releases_dir,
)
from learned_optimization.baselines.results.format import parse_archive
from learned_optimization.errors import (
    DamagedFileError,
    FileContentError,
    LoptError,
    MissingFileError,
    ResultError,
)

PUBLISHED = "gs://gresearch/learned_optimization/opt_archives"
"""Where the archives lie that were published with VeLO."""

# So many archives in a row that cannot be had, for no fault of theirs: none can.
_MOST_IN_A_ROW = 10


@dataclass
class Fetched:
    """What fetching gave.

    Attributes:
      release: the release as it is on this machine now.
      num_new: archives that were fetched.
      num_kept: archives that were there already.
      num_left: archives that were not tried, as none could be had any more.
      problems: what could not be fetched or used, and why.
    """

    release: Release
    num_new: int = 0
    num_kept: int = 0
    num_left: int = 0
    problems: list[str] = field(default_factory=list)


def fetch(
    address: str,
    names: Collection[str] = (),
    name: str = "",
    on_archive: Callable[[ReleasedArchive, bool], object] = lambda *_: None,
) -> Fetched:
    """Fetch the archives of a release, or of a folder of archives, and keep them.

    They go to a folder of their own in `places.releases_dir()`, where every reader of
    archives finds them. Each is checked before it gets its name, and what is there
    already, with the right digest, is not fetched again: stopped, the same call goes
    on from there. A manifest there that is damaged is made again of what is fetched.
    Where several archives in a row cannot be had, the store or the disk being at fault
    and not they, the others are not tried.

    Args:
      address: folder or URL of any store that fsspec knows.
      names: of tasks, suites and sets wanted, as of `look_at`; all if empty.
      name: under which it is kept; that of the release, or the last part of the
        address of a folder of archives, if empty.
      on_archive: told of each archive, and whether it was there already.

    Raises:
      UnknownNameError: if a name is of nothing that is there.
      LoptError: if `name` is none, or is that of archives of another address, or of a
        release that was built here.
      ResultError: if the address cannot be reached or has nothing, or the folder cannot
        be written to.
    """
    offer = look_at(address, names)
    wanted = _wanted(offer, name)
    folder = filesystem.join(releases_dir(), wanted.name)
    filesystem.check_writable(folder)
    begin = partial(_with_kept, folder, wanted, offer)
    done = Fetched(Release(folder, begin(), is_packaged=False))
    in_a_row = 0
    for place, (task, set_name) in enumerate(offer.pairs):
        if in_a_row == _MOST_IN_A_ROW:
            done.num_left = len(offer.pairs) - place
            break
        there = done.release.manifest.of(task, set_name)
        try:
            if there is not None and _is_kept(offer, done.release, there):
                archive, is_there = there, True
            else:
                archive, content = _fetch_one(offer, task, set_name)
                manifest, is_there = add(folder, archive, content, begin), False
                done.release = replace(done.release, manifest=manifest)
        except LoptError as error:
            done.problems.append(f"{set_name} on {task}: {error}")
            in_a_row = in_a_row + 1 if _is_of_store(error) else 0
            continue
        in_a_row = 0
        done.num_kept += is_there
        done.num_new += not is_there
        on_archive(archive, is_there)
    return done


def _is_of_store(error: LoptError) -> bool:
    """Return whether the store or the disk is at fault, and not the archive."""
    is_of_file = isinstance(error, (FileContentError, MissingFileError))
    return isinstance(error, ResultError) and not is_of_file


def _wanted(offer: Offer, name: str) -> Manifest:
    """Return the manifest without archives, under the name it is kept by."""
    source = _from_root(offer.address)
    given = "" if offer.manifest is None else offer.manifest.name
    name = name or given or posixpath.basename(source)
    if not is_plain_name(name):
        raise LoptError(
            f"what lies at {offer.address} cannot be kept as {name!r}: choose "
            "a name of letters, digits and _ . + -."
        )
    manifest = offer.manifest or Manifest(name)
    return replace(manifest, name=name, source=source, archives=())


def _from_root(address: str) -> str:
    """Return an address in the one form in which two of one place are the same."""
    path = filesystem.without_scheme(address)
    return path.rstrip("/") if "://" in path else os.path.abspath(path)


def _with_kept(folder: str, wanted: Manifest, offer: Offer) -> Manifest:
    """Return the manifest with the archives that are there already."""
    try:
        there = read_manifest(folder)
    except (MissingFileError, DamagedFileError):
        return wanted
    # Earlier versions recorded addresses as they were given, and none of releases.
    if there.source and _from_root(there.source) != wanted.source:
        raise LoptError(
            f"{folder} has archives of {there.source}, not of {wanted.source}: choose "
            "another name, or delete that folder."
        )
    if not there.source and not set(there.archives) <= set(_lines(offer)):
        raise LoptError(
            f"{folder} has a release that was built here, or was fetched by an earlier "
            f"version: choose another name than {wanted.name}, or delete that folder."
        )
    return replace(wanted, archives=there.archives)


def _lines(offer: Offer) -> tuple[ReleasedArchive, ...]:
    return () if offer.manifest is None else offer.manifest.archives


def _is_kept(offer: Offer, release: Release, there: ReleasedArchive) -> bool:
    """Return whether an archive is there whole, and is what is offered now."""
    if offer.manifest is not None and offer.manifest.of(*there.pair) != there:
        return False
    try:
        read_checked(release.path_of(there), there)
    except ResultError:
        return False
    return True


def _fetch_one(offer: Offer, task: str, set_name: str) -> tuple[ReleasedArchive, bytes]:
    """Return an archive's line of the manifest, and its bytes, which are checked."""
    if offer.manifest is not None:
        archive = offer.manifest.of(task, set_name)
        assert archive is not None
        source = filesystem.join(offer.address, archive.file)
        return archive, read_checked(source, archive)
    # No digest was published: it must be one that is read.
    file = f"{task}/{set_name}{ARCHIVE}"
    source = filesystem.join(offer.address, file)
    content = filesystem.read_all(source, MAX_ARCHIVE_BYTES)
    arrays = parse_archive(content, source)
    check_curves(source, arrays)
    num_evals = arrays["eval/xs"].shape[-1]
    archive = describe(task, set_name, file, content, arrays, of_evaluations=num_evals)
    return archive, content
