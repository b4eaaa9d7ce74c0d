"""Errors: nearest names, and numbers that must be whole."""

import pytest

from learned_optimization.errors import LoptError, UnknownNameError, check_at_least


def test_nearest_names_ignore_case():
    error = UnknownNameError("task", "adamlr", ["AdamLR", "SGDLR"], "`lopt sets`")
    assert str(error) == "unknown task 'adamlr': did you mean AdamLR? (`lopt sets`)"


def test_few_names_are_all_listed():
    error = UnknownNameError("split", "xyz", ["train", "test"])
    assert str(error) == "unknown split 'xyz': known: test, train."


@pytest.mark.parametrize("value", [0, -1, 1.5, True, float("nan"), "3"])
def test_check_at_least(value):
    with pytest.raises(LoptError, match="num_steps must be a whole number of at least"):
        check_at_least("num_steps", value, 1)


def test_check_at_least_passes():
    check_at_least("num_steps", 1, 1)
