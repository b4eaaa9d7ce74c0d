"""Adds archives to a release's folder, which several processes may do at once."""

from __future__ import annotations

from collections.abc import Callable

from learned_optimization import filesystem
from learned_optimization.baselines.release.manifest import (
    Manifest,
    ReleasedArchive,
    write_manifest,
)


def add(
    folder: str,
    archive: ReleasedArchive,
    content: bytes,
    begin: Callable[[], Manifest],
) -> Manifest:
    """Write an archive, and the manifest with it, while no other process does.

    Args:
      folder: folder or URL of the release. Those that add to one of a store must take
        turns.
      archive: what the manifest says of the archive.
      content: its bytes.
      begin: reads the manifest that is there now, or begins one; what it raises leaves
        everything as it was.

    Returns:
      The manifest that is there then.

    Raises:
      ResultError: if the folder cannot be written to.
    """
    with filesystem.alone(folder):
        manifest = begin().with_archive(archive)
        filesystem.write_bytes(filesystem.join(folder, archive.file), content)
        write_manifest(folder, manifest)
    return manifest
