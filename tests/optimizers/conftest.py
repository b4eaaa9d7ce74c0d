"""Fixtures of the optimizer tests: those of the task tests."""

from tests.tasks.conftest import quick_compilation

__all__ = ["quick_compilation"]
