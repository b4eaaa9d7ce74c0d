"""A small set and task for the tests of this folder."""

import pytest

from learned_optimization.baselines import hparam_sets
from tests.tiny import tiny_set


@pytest.fixture
def small_set(monkeypatch: pytest.MonkeyPatch) -> hparam_sets.HParamSet:
    """`tiny_set`, registered for the length of a test."""
    small = tiny_set()
    monkeypatch.setitem(hparam_sets._BY_NAME, small.name, small)
    return small
