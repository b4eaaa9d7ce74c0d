"""How releases are named on the command line."""

from __future__ import annotations

from collections.abc import Collection

from learned_optimization import filesystem
from learned_optimization.baselines.release import fetch as fetching
from learned_optimization.baselines.release import places
from learned_optimization.cli.output import folder_of
from learned_optimization.errors import LoptError, UnknownNameError

RELEASE = "release:"
"""What says that a name is not that of a folder."""

PUBLISHED = "published"
"""What stands for the address of the archives that were published with VeLO."""

OFF = "LOPT_NO_RELEASES is 1, unset it"
"""Why no release is found where the environment says so."""


def address_of(name: str) -> str:
    """Return where a release lies, or archives, by a name or an address.

    Args:
      name: a folder, a URL, `PUBLISHED`, or a release on this machine.

    Raises:
      LoptError: if there is none, as `LOPT_NO_RELEASES` is 1.
      UnknownNameError: if there is no release of the name behind `RELEASE`.
    """
    if name == PUBLISHED:
        return fetching.PUBLISHED
    wanted = name.removeprefix(RELEASE)
    if wanted == name and ("://" in name or filesystem.exists(folder_of(name))):
        return name
    here = {release.name: release.folder for release in places.releases()}
    if wanted not in here and wanted != name:
        raise unknown(wanted, here)
    return here.get(wanted, name)


def unknown(name: str, known: Collection[str]) -> LoptError:
    """Return the error of a name that is of no release on this machine.

    Args:
      name: the name.
      known: names of those that there are.
    """
    if places.are_off():
        return LoptError(f"there is no release {name}: {OFF}.")
    return UnknownNameError("release", name, known)
