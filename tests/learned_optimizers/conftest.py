"""Shared fixtures: a test's own learned optimizers are forgotten after it."""

from collections.abc import Iterator

import pytest

from learned_optimization.learned_optimizers.base import LEARNED_OPTIMIZERS


@pytest.fixture(autouse=True)
def own_learned_optimizers() -> Iterator[None]:
    with LEARNED_OPTIMIZERS.temporarily():
        yield
