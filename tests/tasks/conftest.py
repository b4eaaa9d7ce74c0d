"""Fixtures of the task tests."""

from collections.abc import Iterator

import jax
import pytest


@pytest.fixture(autouse=True)
def quick_compilation() -> Iterator[None]:
    """Compile without optimizing: these tests ask for values, not for speed.

    Most of their time would otherwise go into compiling random draws.
    """
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)
