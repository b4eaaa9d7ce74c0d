"""Fetches releases, and archives that others published, and checks them before use.

What lies at an address is either a release, with a manifest, or a folder of archives
`TASK/SET.npz`, as those that were published with VeLO (arXiv:2211.09760). Of the latter
a manifest is made here, with the digests of what came.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace

from learned_optimization import filesystem
from learned_optimization.baselines.analysis.best_of_set import CURVE_KEYS
from learned_optimization.baselines.folder_names import is_plain_name
from learned_optimization.baselines.release.build import describe
from learned_optimization.baselines.release.manifest import (
    MAX_ARCHIVE_BYTES,
    Manifest,
    ReleasedArchive,
    read_manifest,
    write_manifest,
)
from learned_optimization.baselines.release.places import (
    Release,
    read_checked,
    releases_dir,
)
from learned_optimization.baselines.results.format import read_archive
from learned_optimization.errors import (
    DamagedFileError,
    LoptError,
    MissingFileError,
    ResultError,
    UnknownNameError,
)

PUBLISHED = "gs://gresearch/learned_optimization/opt_archives"
"""Where the archives lie that were published with VeLO."""

_ARCHIVE = ".npz"


@dataclass(frozen=True)
class Offer:
    """What lies at an address.

    Attributes:
      address: the address.
      manifest: of a release; None of a folder of archives.
      pairs: task and set of each archive.
    """

    address: str
    manifest: Manifest | None
    pairs: tuple[tuple[str, str], ...]


@dataclass
class Fetched:
    """What fetching gave.

    Attributes:
      release: the release as it is on this machine now.
      num_new: archives that were fetched.
      num_kept: archives that were there already.
      problems: what could not be fetched or used, and why.
    """

    release: Release
    num_new: int = 0
    num_kept: int = 0
    problems: list[str] = field(default_factory=list)


def look_at(address: str, tasks: Collection[str] = ()) -> Offer:
    """Return what lies at an address; nothing is fetched but a manifest.

    Args:
      address: folder or URL of any store that fsspec knows.
      tasks: names of the tasks looked for; all if empty. A store is asked for each
        task of a folder of archives, which takes a while where there are thousands.

    Raises:
      ResultError: if it cannot be reached, or has neither.
    """
    try:
        manifest = read_manifest(address)
    except MissingFileError:
        manifest = None
    if manifest is not None:
        pairs = [a.pair for a in manifest.archives if not tasks or a.task in tasks]
        return Offer(address, manifest, tuple(pairs))
    folders = list(tasks) or filesystem.list_folders(address)
    found = [
        (task, posixpath.basename(path).removesuffix(_ARCHIVE))
        for task in folders
        for path in filesystem.list_files(filesystem.join(address, task), _ARCHIVE)
    ]
    if not found:
        of_tasks = f" of {', '.join(tasks)}" if tasks else ""
        raise ResultError(
            f"{address} has no manifest of a release and no archives{of_tasks}, which "
            "would be TASK/SET.npz in it."
        )
    return Offer(address, None, tuple(found))


def fetch(
    address: str,
    tasks: Sequence[str] = (),
    sets: Sequence[str] = (),
    name: str = "",
    on_archive: Callable[[ReleasedArchive, bool], object] = lambda *_: None,
) -> Fetched:
    """Fetch the archives of a release, or of a folder of archives, and keep them.

    They go to a folder of their own in `places.releases_dir()`, where every reader of
    archives finds them. Each is checked before it gets its name, and what is there
    already, with the right digest, is not fetched again: stopped, the same call goes
    on from there.

    Args:
      address: folder or URL of any store that fsspec knows.
      tasks: names of the tasks wanted; all if empty.
      sets: names of the sets wanted; all if empty.
      name: under which it is kept; that of the release, or the last part of the
        address of a folder of archives, if empty.
      on_archive: told of each archive, and whether it was there already.

    Raises:
      UnknownNameError: if a task or set is not there.
      LoptError: if the name is none, or is that of archives of another address.
      ResultError: if the address cannot be reached or has nothing, or the folder cannot
        be written to.
    """
    offer = look_at(address, tasks)
    _check_wanted("task", tasks, {task for task, _ in offer.pairs}, address)
    _check_wanted("set", sets, {of_task for _, of_task in offer.pairs}, address)
    manifest = _begin(offer, name)
    folder = filesystem.join(releases_dir(), manifest.name)
    filesystem.check_writable(folder)
    release = Release(folder, _kept(folder, manifest), is_packaged=False)
    done = Fetched(release)
    for task, set_name in offer.pairs:
        if sets and set_name not in sets:
            continue
        try:
            archive, is_there = _fetch_one(offer, done.release, task, set_name)
        except LoptError as error:
            done.problems.append(str(error))
            continue
        if is_there:
            done.num_kept += 1
        else:
            done.num_new += 1
            updated = done.release.manifest.with_archive(archive)
            done.release = replace(done.release, manifest=updated)
            write_manifest(folder, updated)
        on_archive(archive, is_there)
    return done


def _check_wanted(
    kind: str, wanted: Iterable[str], there: Collection[str], address: str
) -> None:
    for name in wanted:
        if name not in there:
            raise UnknownNameError(kind, name, there, f"of those at {address}")


def _begin(offer: Offer, name: str) -> Manifest:
    """Return the manifest without archives, under the name it is kept by."""
    given = offer.manifest or Manifest(
        posixpath.basename(offer.address.rstrip("/")), source=offer.address
    )
    manifest = replace(given, name=name or given.name, archives=())
    if not is_plain_name(manifest.name):
        raise LoptError(
            f"what lies at {offer.address} cannot be kept as {manifest.name!r}: choose "
            "a name of letters, digits and _ . + -."
        )
    return manifest


def _kept(folder: str, manifest: Manifest) -> Manifest:
    """Return the manifest with the archives that are there already."""
    try:
        there = read_manifest(folder)
    except MissingFileError:
        return manifest
    if there.source != manifest.source:
        raise LoptError(
            f"{folder} has archives of {there.source or 'a release'}, not of "
            f"{manifest.source or 'a release'}: choose another name."
        )
    return replace(manifest, archives=there.archives)


def _fetch_one(
    offer: Offer, release: Release, task: str, set_name: str
) -> tuple[ReleasedArchive, bool]:
    """Return an archive that is on this machine now, and whether it was before."""
    there = release.manifest.of(task, set_name)
    wanted = offer.manifest.of(task, set_name) if offer.manifest else there
    if there is not None and there == wanted and _is_whole(release, there):
        return there, True
    if offer.manifest is not None and wanted is not None:
        source = filesystem.join(offer.address, wanted.file)
        _keep(release.path_of(wanted), read_checked(source, wanted))
        return wanted, False
    return _fetch_published(offer, release, task, set_name), False


def _is_whole(release: Release, archive: ReleasedArchive) -> bool:
    try:
        read_checked(release.path_of(archive), archive)
    except ResultError:
        return False
    return True


def _keep(path: str, content: bytes) -> None:
    filesystem.write_bytes(path, content)


def _fetch_published(
    offer: Offer, release: Release, task: str, set_name: str
) -> ReleasedArchive:
    """Fetch an archive of which no digest was published; it must be one that is read.

    It is checked under a hidden name first, so that no other is ever seen.
    """
    file = f"{task}/{set_name}{_ARCHIVE}"
    source = filesystem.join(offer.address, file)
    content = filesystem.read_all(source, MAX_ARCHIVE_BYTES)
    hidden = filesystem.join(release.folder, f".{task}.{set_name}{_ARCHIVE}")
    _keep(hidden, content)
    try:
        arrays = read_archive(hidden)
        if missing := [key for key in CURVE_KEYS if key not in arrays]:
            raise DamagedFileError(source, f"it lacks {', '.join(missing)}")
        filesystem.move_file(hidden, filesystem.join(release.folder, file))
    finally:
        filesystem.remove_file(hidden)
    return describe(
        task,
        set_name,
        file,
        content,
        arrays,
        of_evaluations=arrays["eval/xs"].shape[-1],
    )
