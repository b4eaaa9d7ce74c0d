"""Published normalizers, fetched once and checked before they are used."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from learned_optimization import filesystem
from learned_optimization.baselines.speedups.files import (
    MAX_FILE_BYTES,
    SUFFIX,
    Entry,
    write_published,
)
from learned_optimization.baselines.speedups.specs import (
    NORMALIZERS,
    PUBLISHED,
    own_folder,
)
from learned_optimization.errors import (
    DamagedFileError,
    LoptError,
    ResultError,
    UnknownNameError,
)

ADDRESS = (
    "https://raw.githubusercontent.com/google/learned_optimization/main/"
    "learned_optimization/baselines/data"
)
"""Folder of the files that were published with VeLO (arXiv:2211.09760)."""


@dataclass(frozen=True)
class Fetched:
    """A file of normalizers as it was fetched.

    Attributes:
      path: where it is kept.
      address: where it comes from.
      sha256: digest of its bytes, hexadecimal.
      num_bytes: its size.
      entries: task name to entry.
    """

    path: str
    address: str
    sha256: str
    num_bytes: int
    entries: Mapping[str, Entry]


def fetch(name: str, address: str | None = None, sha256: str | None = None) -> Fetched:
    """Fetch a published file of normalizers and keep it, byte for byte.

    It is kept as `NAME.json` in `LOPT_NORMALIZERS_DIR`, or else in the folder
    `normalizers` of `LOPT_DATA_DIR`, where the map functions of
    `learned_optimization.baselines.normalizers` find it. Beside it is noted where it
    comes from, its digest, and that of every curve, by which a later change is
    noticed.

    Args:
      name: one of `PUBLISHED`.
      address: path or address of the file, or of the folder that holds `NAME.json`;
        `ADDRESS` if None.
      sha256: digest that its bytes must have, hexadecimal; a copy kept by an earlier
        fetch is replaced only by one of this digest, or of its own.

    Raises:
      UnknownNameError: if no such normalizer was published.
      ResultError: if the file cannot be reached, is not of the form, has another
        length than the normalizer's, or another digest; nothing is written then.
    """
    if name not in PUBLISHED:
        raise UnknownNameError("published normalizer", name, PUBLISHED)
    address = ADDRESS if address is None else address
    if not address.endswith(SUFFIX):
        address = filesystem.join(address, name + SUFFIX)
    content = filesystem.read_all(address, MAX_FILE_BYTES)
    digest = hashlib.sha256(content).hexdigest()
    path = filesystem.join(own_folder(), name + SUFFIX)
    _check_digest(path, address, digest, sha256)
    fetched_at = datetime.now(UTC).isoformat(timespec="seconds")
    entries = write_published(
        path,
        content,
        address,
        {
            "normalizer": name,
            "hparam_sets": list(NORMALIZERS[name].hparam_sets),
            "fetched_from": address,
            "fetched_at": fetched_at,
            "sha256": digest,
        },
        lambda entries: _check_lengths(name, address, entries),
    )
    return Fetched(path, address, digest, len(content), entries)


def _check_digest(path: str, address: str, digest: str, wanted: str | None) -> None:
    if wanted is not None:
        if digest != wanted.lower():
            raise ResultError(
                f"{address} is not the file wanted: its sha256 is {digest}, not "
                f"{wanted.lower()}. Nothing was kept."
            )
        return
    if not filesystem.exists(path):
        return
    kept = hashlib.sha256(filesystem.read_all(path, MAX_FILE_BYTES)).hexdigest()
    if kept != digest:
        raise LoptError(
            f"{path} is there already and is another file: its sha256 is {kept}, that "
            f"of {address} is {digest}. If you want the new one, say so with "
            f"sha256={digest}."
        )


def _check_lengths(name: str, address: str, entries: Mapping[str, Entry]) -> None:
    spec = NORMALIZERS[name]
    if not entries:
        raise DamagedFileError(address, "it has no tasks", "Fetch another file.")
    for task, entry in entries.items():
        horizon = entry.curve.steps[-1]
        # The end of a curve may be missing, where its losses are not numbers.
        if len(entry.curve.steps) > spec.num_points or horizon > spec.num_steps:
            raise DamagedFileError(
                address,
                f"it has {len(entry.curve.steps)} points up to step {horizon:,.0f}, "
                f"and {name} has {spec.num_points} up to {spec.num_steps:,}",
                "Fetch it under the name of its own baseline.",
                key=task,
            )
