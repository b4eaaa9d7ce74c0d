"""The manifest of a release: what it has, and how each archive of it was made."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import MISSING, asdict, dataclass, fields, replace
from functools import cached_property
from typing import Any

from learned_optimization import filesystem
from learned_optimization.baselines.folder_names import is_plain_name
from learned_optimization.baselines.release.manifest_fields import (
    NAME,
    OF_ARCHIVES,
    OF_RELEASES,
    check,
)
from learned_optimization.errors import (
    DamagedFileError,
    LoptError,
    NewerSchemaError,
)
from learned_optimization.json_reading import parse_json
from learned_optimization.text import brief

FORMAT = 1
"""Version of the manifests written."""

MAX_BYTES = 64 << 20
"""Bytes a manifest may have: one of a thousand archives has a megabyte."""


@dataclass(frozen=True)
class ReleasedArchive:
    """One archive of a release.

    Attributes:
      task: the task's name.
      hparam_set: the set's name.
      file: its file, relative to the folder of the release.
      sha256: digest of the file's bytes, hexadecimal.
      num_bytes: its size.
      num_configs: configurations of the set.
      num_seeds: seeds of each.
      num_steps: number of the last update.
      evaluations: evaluations of each trial that it has.
      of_evaluations: those that the whole archive has; the same if it is whole.
      seeds: the seeds, where the archive says.
      versions: `package==version`, of those that trained it, where it says.
      hardware: what it was trained on, where it says.
      date: day on which the whole archive was written, `YYYY-MM-DD`.
      command: what trains it again.
      whole_sha256: digest of the whole archive's file that it was made of; empty where
        it is whole itself.

    Raises:
      LoptError: if one of them is what it cannot be.
    """

    task: str
    hparam_set: str
    file: str
    sha256: str
    num_bytes: int
    num_configs: int
    num_seeds: int
    num_steps: int
    evaluations: int
    of_evaluations: int
    seeds: tuple[int, ...] = ()
    versions: tuple[str, ...] = ()
    hardware: str = ""
    date: str = ""
    command: str = ""
    whole_sha256: str = ""

    def __post_init__(self) -> None:
        check(self, OF_ARCHIVES, str(self.file))

    @property
    def pair(self) -> tuple[str, str]:
        """Task and set."""
        return self.task, self.hparam_set

    @property
    def num_trials(self) -> int:
        """Trials of it."""
        return self.num_configs * self.num_seeds

    @property
    def is_thin(self) -> bool:
        """Whether it lacks evaluations of the whole archive, or has them rounded."""
        return bool(self.whole_sha256)


_NEEDED = [f.name for f in fields(ReleasedArchive) if f.default is MISSING]


@dataclass(frozen=True)
class Manifest:
    """What a release has.

    Attributes:
      name: the release.
      archives: its archives, in the order of tasks and sets.
      command: what makes the release again.
      made_by: version of this package that made it, `optimizer-baselines==0.1.0`.
      source: the address that its archives were fetched from; empty of a release that
        was built here, or fetched by an earlier version.

    Raises:
      LoptError: if one of them is what it cannot be, or two archives are of one pair.
    """

    name: str
    archives: tuple[ReleasedArchive, ...] = ()
    command: str = ""
    made_by: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        check(self, OF_RELEASES, "the release")
        counts = Counter(archive.pair for archive in self.archives)
        for (task, hparam_set), times in counts.items():
            if times > 1:
                raise LoptError(f"{hparam_set} on {task} is there twice.")

    def of(self, task: str, hparam_set: str) -> ReleasedArchive | None:
        """Return its archive of a set on a task, or None."""
        return self._by_pair.get((task, hparam_set))

    @cached_property
    def _by_pair(self) -> dict[tuple[str, str], ReleasedArchive]:
        return {archive.pair: archive for archive in self.archives}

    def with_archive(self, archive: ReleasedArchive) -> Manifest:
        """Return it with an archive, in the place of one of that task and set."""
        others = [a for a in self.archives if a.pair != archive.pair]
        ordered = sorted([*others, archive], key=lambda one: one.pair)
        return replace(self, archives=tuple(ordered))

    @property
    def num_bytes(self) -> int:
        """Bytes of its archives."""
        return sum(archive.num_bytes for archive in self.archives)

    @property
    def num_trials(self) -> int:
        """Trials of its archives."""
        return sum(archive.num_trials for archive in self.archives)


def check_name(name: str) -> None:
    """Refuse a name that no folder of a release can have.

    Raises:
      LoptError: saying which names there are.
    """
    if not is_plain_name(name):
        raise LoptError(
            f"a release cannot be called {brief(name)}: choose a name of letters, "
            "digits and _ . + -, that begins with a letter, a digit or _."
        )


def read_manifest(folder: str) -> Manifest:
    """Read the manifest of a release.

    Args:
      folder: folder or URL of the release.

    Raises:
      MissingFileError: if there is none.
      NewerSchemaError: if a newer version of this package wrote it.
      DamagedFileError: if it is not of the form.
      ResultError: if it cannot be reached.
    """
    path = filesystem.join(folder, NAME)
    content = filesystem.read_all(path, MAX_BYTES)
    try:
        said = parse_json(content)
        if not isinstance(said, dict):
            raise TypeError(f"it is {brief(said)}, and no object")
        version = said.get("format")
        if isinstance(version, int) and version > FORMAT:
            raise NewerSchemaError(
                path,
                f"it has format {version}, and this version of optimizer-baselines "
                f"reads up to {FORMAT}",
            )
        if version != FORMAT:
            raise ValueError(f"its format is {brief(version)}, and should be {FORMAT}")
        return _manifest_of(said)
    except NewerSchemaError:
        raise
    except (TypeError, ValueError) as error:
        raise DamagedFileError(path, str(error).rstrip(".")) from error


def write_manifest(folder: str, manifest: Manifest) -> None:
    """Write the manifest of a release, whole or not at all.

    Args:
      folder: folder or URL of the release.
      manifest: what it has.

    Raises:
      ResultError: if it cannot be written.
    """
    path, text = filesystem.join(folder, NAME), _as_json(manifest)
    filesystem.write_bytes(path, text.encode())


def _as_json(manifest: Manifest) -> str:
    """Return a manifest as JSON, one archive on each line."""
    said = {"format": FORMAT, **asdict(manifest)}
    archives = ",\n".join(json.dumps(archive) for archive in said.pop("archives"))
    head = json.dumps(said, indent=1).removesuffix("\n}")
    return f'{head},\n "archives": [\n{archives}\n]\n}}\n'


def _manifest_of(said: dict[str, Any]) -> Manifest:
    archives = said.get("archives")
    if not isinstance(archives, list):
        raise TypeError(f"its archives are {brief(archives)}, and should be a list")
    # What a later version of the same format adds is not known here, and not needed.
    known = {name: said[name] for name in OF_RELEASES if name in said}
    if "name" not in known:
        raise TypeError("it lacks its name")
    return Manifest(archives=tuple(map(_archive_of, archives)), **known)


def _archive_of(said: Any) -> ReleasedArchive:
    if not isinstance(said, dict):
        raise TypeError(f"an archive is {brief(said)}, and no object")
    if lacking := [name for name in _NEEDED if name not in said]:
        which = "an archive" if "file" in lacking else brief(said["file"])
        raise TypeError(f"{which} lacks {', '.join(lacking)}")
    known: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in said.items()
        if name in OF_ARCHIVES
    }
    return ReleasedArchive(**known)
