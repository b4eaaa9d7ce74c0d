"""The gin configuration of a result file is data: nothing that it says is executed."""

import sys

import gin
import pytest

from learned_optimization import configuration, outer_train, recorded_gin
from learned_optimization.errors import LoptError
from learned_optimization.optimizers.optax_opts import Adam
from learned_optimization.torch_optimizers.define import recorded_torch_class

UNUSED = "this"
"""A module of the standard library that prints a poem as it is imported."""

NINE = range(1, 10)


assert outer_train.run_train, "gin knows it from here on"


@pytest.fixture(autouse=True)
def _not_imported(monkeypatch):
    monkeypatch.delitem(sys.modules, UNUSED, raising=False)


def test_what_it_binds_is_bound_and_nothing_else():
    configuration.load([], ["SGD.learning_rate = 3.0"])
    recorded_gin.load(
        f"import {UNUSED}\n"
        f"from {UNUSED} import s\n"
        "from __gin__ import dynamic_registration\n"
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
    assert UNUSED not in sys.modules


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("include '/etc/hostname'\n", "it includes '/etc/hostname'."),
        (
            "inner_train_task.task = @inner_train_task()\n",
            "it refers to @'inner_train_task', which a trial has no use for.",
        ),
        (
            "inner_train_task.task = @run_train()\n",
            "it refers to @'run_train', which a trial has no use for.",
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
        (
            "m = (0, 0, 0, 0, 0, 0, 0, 0, 0, 0)\n"
            + "".join(
                f"m{'m' * n} = ({('%m' + 'm' * (n - 1) + ',') * 10})\n" for n in NINE
            )
            + "Adam.learning_rate = %mmmmmmmmmm\n",
            "it binds more than 100,000 values.",
        ),
        ("a = (1, %b)\nb = [%a]\n", "its macro 'b' stands for itself."),
        (
            "opt_from_checkpoint.checkpoint_path = 'reference://x::https://h/x.json'\n",
            "it names 'reference://x::https://h/x.json': an address in a result may be",
        ),
        ("x = ['https://h/a::file://b']\n", "it names 'https://h/a::file://b'"),
        ("Adm.learning_rate = 1\n", "did you mean Adam"),
        (f"import {UNUSED}\nAdm.learning_rate = 1\n", f"It imports '{UNUSED}'."),
        ("Adam.learning_rate = \n", "Unable to parse"),
        (" " * (recorded_gin.MAX_BYTES + 1), "has more than 1,048,576 characters"),
    ],
)
def test_what_does_more_is_refused(text, message):
    with pytest.raises(LoptError) as error:
        recorded_gin.load(text)
    said = str(error.value)
    assert message in said
    # A message of one line, which does not show what it refuses whole.
    assert len(said.splitlines()) == 1
    assert not isinstance(error.value, recorded_gin.RefusedError) or len(said) < 200
    assert UNUSED not in sys.modules


def test_plain_addresses_are_taken():
    for text in ("/a/b::c", "params", "gs://b/params", "https://h:1/p?q", "file:///p"):
        recorded_gin.check_address(text)


def test_a_class_is_not_imported_because_a_file_names_it():
    with pytest.raises(LoptError, match="'this' is not imported here"):
        recorded_torch_class(f"{UNUSED}.Adam")
    assert UNUSED not in sys.modules
