"""Facts and values measured on the published system, kept beside the project.

They are no part of the project. Where they are absent, the tests that use them are
skipped, with the reason.
"""

import functools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

REFERENCE = Path(__file__).resolve().parents[2] / "shared" / "reference"


def reference(name: str) -> Path:
    """Return the path of a reference file, or skips the test where it is absent."""
    path = REFERENCE / name
    if not path.exists():
        pytest.skip(f"GOLDEN VALUES ARE ABSENT: {path} is not there")
    return path


@functools.cache
def golden_tasks() -> dict[str, dict[str, Any]]:
    """Return the published tasks by name: parameters, leaves, losses at init."""
    return json.loads(reference("golden_tasks.json").read_text())


@functools.cache
def golden_optimizers() -> dict[str, np.ndarray]:
    """Return the published optimizers' steps; the keys are explained in models.md."""
    with np.load(reference("golden_optimizers.npz")) as file:
        return dict(file)
