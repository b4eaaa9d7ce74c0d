"""Where releases lie, and which archive one of them has: the one place that knows.

An archive of one's own, in the root of the archives, comes before any release; fetched
releases, in the order of their names, come before those of the package.
"""

from __future__ import annotations

import functools
import hashlib
import os
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from learned_optimization import cache, environment, filesystem
from learned_optimization.baselines.release import packing
from learned_optimization.baselines.release.manifest import (
    NAME,
    Manifest,
    ReleasedArchive,
    read_manifest,
)
from learned_optimization.errors import (
    DamagedFileError,
    FileContentError,
    MissingFileError,
    ResultError,
    TooLargeError,
)
from learned_optimization.npz import NpzWriter, open_npz
from learned_optimization.tasks.datasets.locations import data_dir

PACKAGED = Path(__file__).parent.parent / "release_data"
"""Folder of the releases that are part of the package."""


@dataclass(frozen=True)
class Release:
    """A release on this machine.

    Attributes:
      folder: where it is.
      manifest: what it has.
      is_packaged: it is part of the package.
    """

    folder: str
    manifest: Manifest
    is_packaged: bool

    @property
    def name(self) -> str:
        """Its name."""
        return self.manifest.name

    def path_of(self, archive: ReleasedArchive) -> str:
        """Return the path of the file of one of its archives."""
        return filesystem.join(self.folder, archive.file)


@dataclass(frozen=True)
class Released:
    """An archive, and the release that has it."""

    release: Release
    archive: ReleasedArchive


def releases_dir() -> str:
    """Return the folder of fetched releases.

    It is `LOPT_RELEASES_DIR`, or the folder `releases` of `LOPT_DATA_DIR`.

    Raises:
      ResultError: if that is no name of a folder.
    """
    variable = "LOPT_RELEASES_DIR"
    if os.environ.get(variable):
        return environment.folder(variable, "", is_remote_allowed=True)
    return str(data_dir() / "releases")


_only: ContextVar[Release | None] = ContextVar("_only", default=None)


@contextmanager
def only(folder: str) -> Iterator[Release]:
    """Let every archive be that of one release, while the block runs.

    Args:
      folder: folder or URL of the release.

    Raises:
      ResultError: if it has no manifest that can be read.
    """
    release = Release(folder, read_manifest(folder), is_packaged=False)
    token = _only.set(release)
    try:
        yield release
    finally:
        _only.reset(token)


def are_off() -> bool:
    """Return whether `LOPT_NO_RELEASES` is 1, so that there are no releases."""
    return environment.flag("LOPT_NO_RELEASES")


def is_alone() -> bool:
    """Return whether archives of one's own are left aside, as in a block of `only`."""
    return _only.get() is not None


def releases() -> list[Release]:
    """Return the releases on this machine, those that come first where two have a set.

    There are none where `LOPT_NO_RELEASES` is 1. One with a damaged manifest, or whose
    folder this user may not look into, is left out, with a warning.
    """
    if (alone := _only.get()) is not None:
        return [alone]
    if are_off():
        return []
    return [*_usable(_below(releases_dir(), False)), *packaged()]


def packaged() -> list[Release]:
    """Return the releases of the package, whatever the environment says."""
    return list(_usable(_below(str(PACKAGED), True)))


def damaged() -> list[FileContentError]:
    """Return why fetched releases are left out whose manifests are damaged."""
    found = _below(releases_dir(), False)
    return [one for one in found if isinstance(one, FileContentError)]


def _usable(found: Iterable[Release | ResultError]) -> Iterator[Release]:
    for one in found:
        if isinstance(one, Release):
            yield one
        else:
            warnings.warn(f"a release is left out: {one}", stacklevel=3)


def _below(root: str, is_packaged: bool) -> Iterator[Release | ResultError]:
    for name in filesystem.list_folders(root):
        folder = filesystem.join(root, name)
        try:
            stamp = filesystem.info(filesystem.join(folder, NAME)).stamp
            manifest = _manifest(folder, stamp)
        except MissingFileError:
            # It is being fetched for the first time, or is no release.
            continue
        except ResultError as error:
            yield error
        else:
            yield Release(folder, manifest, is_packaged)


# The stamp is a parameter so that a manifest written again is read again.
@functools.lru_cache(maxsize=64)
def _manifest(folder: str, stamp: str) -> Manifest:
    del stamp
    return read_manifest(folder)


def tasks() -> set[str]:
    """Return names of the tasks that some release has archives of."""
    return {a.task for release in releases() for a in release.manifest.archives}


def sets_of(task: str) -> set[str]:
    """Return names of the sets that some release has archives of, on a task."""
    return {
        a.hparam_set
        for release in releases()
        for a in release.manifest.archives
        if a.task == task
    }


def find(task: str, hparam_set: str) -> Released | None:
    """Return the archive of a set on a task that stands in for one's own, or None."""
    for release in releases():
        archive = release.manifest.of(task, hparam_set)
        if archive is not None:
            return Released(release, archive)
    return None


def readable(released: Released) -> str:
    """Return the path of an archive that every reader of archives can read.

    A packed one is unpacked into `LOPT_CACHE_DIR`, once: again where what is there is
    damaged. One that is not packed is read where it lies, and was checked when it was
    fetched.

    Raises:
      DamagedFileError: if the bytes of a packed one are not those of the manifest.
      ResultError: if it is missing or cannot be read.
    """
    archive = released.archive
    path = released.release.path_of(archive)
    if not archive.file.endswith(packing.SUFFIX):
        return path
    target = _unpacked(archive.sha256)
    if not _is_unpacked(target):
        content = read_checked(path, archive)
        try:
            _write(target, content, path)
        except DamagedFileError:
            raise
        except ResultError as error:
            cache.cannot_keep("archives of releases", error, "they are unpacked again")
            target = str(Path(_folder_of_process().name) / f"{archive.sha256}.npz")
            _write(target, content, path)
    return target


def _unpacked(sha256: str) -> str:
    return str(cache.cache_dir() / "releases" / f"{sha256[:24]}.npz")


def _is_unpacked(target: str) -> bool:
    """Return whether an unpacked archive is there as it was written."""
    try:
        return _is_sealed(target, filesystem.info(target).stamp)
    except ResultError:
        return False


# The stamp is a parameter so that a file that was changed is read again; one that was
# not is read through once in a process.
@functools.lru_cache(maxsize=4096)
def _is_sealed(target: str, stamp: str) -> bool:
    del stamp
    with open_npz(target) as npz:
        npz.read()
        return npz.is_sealed


# What is kept here is removed when the process ends.
@functools.cache
def _folder_of_process() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory(
        prefix="lopt-release-", ignore_cleanup_errors=True
    )


def _write(target: str, content: bytes, path: str) -> None:
    arrays = packing.unpack(content, path)

    def write(file: IO[bytes]) -> None:
        with NpzWriter(file) as writer:
            for key, array in arrays.items():
                writer.add(key, array, compress_level=1)

    filesystem.write_whole(target, write)


def read_checked(path: str, archive: ReleasedArchive) -> bytes:
    """Return the bytes of an archive's file, which are those of the manifest.

    Args:
      path: where the file is.
      archive: what the manifest says of it.

    Raises:
      DamagedFileError: if they are not.
      ResultError: if it is missing or cannot be read.
    """
    remedy = "Fetch or build the release again."
    try:
        content = filesystem.read_all(path, archive.num_bytes)
    except TooLargeError as error:
        raise DamagedFileError(
            path,
            f"it is longer than the {archive.num_bytes:,} bytes that the manifest "
            f"says, so that its sha256 is not {archive.sha256}",
            remedy,
        ) from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != archive.sha256:
        raise DamagedFileError(
            path,
            f"its sha256 is {digest}, and the manifest says {archive.sha256}",
            remedy,
        )
    return content
