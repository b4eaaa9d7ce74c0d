"""The gin configuration of a result file is data: nothing that it says is executed."""

import sys

import gin
import pytest

from learned_optimization import configuration, recorded_gin
from learned_optimization.errors import LoptError
from learned_optimization.optimizers.optax_opts import Adam
from learned_optimization.torch_optimizers.define import recorded_torch_class

UNUSED = "this"
"""A module of the standard library that prints a poem as it is imported."""


@pytest.fixture(autouse=True)
def _not_imported(monkeypatch):
    monkeypatch.delitem(sys.modules, UNUSED, raising=False)


def test_what_it_binds_is_bound_and_nothing_else():
    configuration.load([], ["SGD.learning_rate = 3.0"])
    recorded_gin.load(
        "import learned_optimization.optimizers.no_such_module\n"
        "import sys\n"
        "rate = 0.25\n"
        "inner_train_task.opt = @Adam()\n"
        "Adam.learning_rate = %rate\n"
        "named/Adam.beta1 = 0.5\n"
    )
    assert Adam().learning_rate == 0.25
    assert configuration.reference_name("inner_train_task.opt") == "Adam"
    with gin.config_scope("named"):
        assert Adam().beta1 == 0.5
    assert "SGD.learning_rate" not in configuration.bound_parameters()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"import {UNUSED}\n", f"it imports '{UNUSED}', which is not imported here"),
        (f"from {UNUSED} import s\n", f"it imports '{UNUSED}.s'"),
        ("from __gin__ import dynamic_registration\n", "it imports '__gin__"),
        ("include '/etc/hostname'\n", "it includes '/etc/hostname'"),
        (
            "inner_train_task.task = @inner_train_task()\n",
            "refers to @'inner_train_task', which a trial has no use for",
        ),
        (
            "one/gin.singleton.constructor = @maybe_archive_hparam_set\n"
            "inner_train_task.task = @one/gin.singleton()\n",
            "maybe_archive_hparam_set",
        ),
        (
            "Adam.learning_rate = {'a': [(1, @x/run_archive.maybe_get_hparam_set())]}",
            "maybe_get_hparam_set",
        ),
        ("Adm.learning_rate = 1\n", "did you mean Adam"),
        ("Adam.learning_rate = \n", "Unable to parse"),
        (" " * (recorded_gin.MAX_BYTES + 1), "has more than 1,048,576 characters"),
    ],
)
def test_what_does_more_is_refused(text, message):
    with pytest.raises(LoptError) as error:
        recorded_gin.load(text)
    assert message in str(error.value)
    assert UNUSED not in sys.modules


def test_a_class_is_not_imported_because_a_file_names_it():
    with pytest.raises(LoptError, match="'this' is not imported here"):
        recorded_torch_class(f"{UNUSED}.Adam")
    assert UNUSED not in sys.modules
