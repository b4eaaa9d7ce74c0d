"""The learned optimizers that are part of the package, already meta-trained.

Each is a folder here, named as it is, with `params` and `config.gin`. As the path of a
checkpoint it is `pretrained:NAME`, which is the same on every machine; the sets
`NAME_LOpt_1000_R5` and so on are known without a checkpoint. What each was trained on,
and how good it is, is in its model card, `docs/pretrained.md`.
"""

from __future__ import annotations

from pathlib import Path

from learned_optimization.errors import UnknownNameError

_SCHEME = "pretrained:"


def pretrained_names() -> list[str]:
    """Return their names, in alphabetical order."""
    return sorted(path.parent.name for path in Path(__file__).parent.glob("*/params"))


def address(name: str) -> str:
    """Return the path by which a checkpoint of the package is named."""
    return _SCHEME + name


def file_of(path: str) -> str:
    """Return the file of `pretrained:NAME`, and any other path as it is.

    Raises:
      UnknownNameError: if the package has none of that name.
    """
    if not path.startswith(_SCHEME):
        return path
    name = path.removeprefix(_SCHEME)
    known = pretrained_names()
    if name not in known:
        raise UnknownNameError("pretrained learned optimizer", name, known)
    return str(Path(__file__).parent / name / "params")
