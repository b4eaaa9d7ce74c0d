"""The sets of a challenge: of a file, a name, a checkpoint, and of the baselines."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from learned_optimization.baselines.sets import files as set_files
from learned_optimization.baselines.sets.hparam_set import LEARNING_RATES
from learned_optimization.baselines.sets.registry import SETS, get_hparam_set
from learned_optimization.baselines.suites.challengers import (
    BASELINES,
    baseline_sets,
    sets_of_file,
    sets_of_name,
)
from learned_optimization.baselines.suites.registry import SUITES, get_suite
from learned_optimization.baselines.suites.suite import Suite
from learned_optimization.errors import LoptError, UnknownNameError
from learned_optimization.optimizers.base import OPTIMIZERS

MLP = "ImageMLP_FashionMnist8_Relu32"
OTHER = Suite("other", (MLP,), num_steps=300, seeds=2, eval_every=20)

OWN = """\
import optax
from learned_optimization.optimizers.optax_optimizer import optax_optimizer

@optax_optimizer
def {name}(learning_rate: float = 1e-3):
    \"\"\"Step by the sign.\"\"\"
    return optax.chain(
        optax.scale_by_sign(), optax.scale_by_learning_rate(learning_rate)
    )
"""


@pytest.fixture(autouse=True)
def own_registries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Forget after a test what it registers, but for gin's names."""
    for name in ("_EXECUTED", "_SOURCES"):
        monkeypatch.setattr(set_files, name, dict(getattr(set_files, name)))
    with SUITES.temporarily(), OPTIMIZERS.temporarily(), SETS.temporarily():
        yield
    for name, module in [*sys.modules.items()]:
        if str(getattr(module, "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


def test_baselines_of_the_usual_length_are_the_sets_of_the_package():
    suite = get_suite("laptop")
    sets = baseline_sets(suite)
    assert [s.name for s in sets] == [f"{name}LR_1000_R5" for name in BASELINES]
    for made in sets:
        known = get_hparam_set(made.name)
        assert made == known
        assert (made.opt_names, made.hparams) == (known.opt_names, known.hparams)


def test_baselines_of_another_length_and_other_evaluations():
    [adam, cosine] = baseline_sets(OTHER, ["Adam", "SGDCosine"])
    assert adam.name == "AdamLR_300_R2_eval20x5x10"
    assert (adam.plan, adam.repetitions) == (OTHER.plan, 2)
    assert [h["learning_rate"] for h in adam.hparams] == list(LEARNING_RATES)
    assert {h["CosineDecay.num_steps"] for h in cosine.hparams} == {300.0}
    [linear] = baseline_sets(OTHER, ["MuonLinear"])
    assert linear.name == "MuonLinearLR_300_R2_eval20x5x10"
    assert {h["LinearDecay.num_steps"] for h in linear.hparams} == {300.0}
    with pytest.raises(UnknownNameError, match=r"unknown optimizer 'Adem'.*Adam"):
        baseline_sets(OTHER, ["Adem"])


def test_the_optimizers_of_a_file_get_the_standard_search(tmp_path):
    path = tmp_path / "own_signs.py"
    path.write_text(OWN.format(name="OwnSign"))
    for _ in range(2):
        # Executed once, what the file defines is known the second time.
        [made] = sets_of_file(path, get_suite("laptop"))
        assert (made.name, made.optimizer) == ("OwnSignLR_1000_R5", "OwnSign")
        assert made.num_configs == 14
    [other] = sets_of_file(path, OTHER)
    assert other.name == "OwnSignLR_300_R2_eval20x5x10"
    assert (other.plan, other.repetitions) == (OTHER.plan, 2)


def test_a_file_that_another_one_has_imported(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    path = tmp_path / "own_imported_sign.py"
    path.write_text(OWN.format(name="OwnImportedSign"))
    other = tmp_path / "own_importer.py"
    other.write_text("import own_imported_sign\n")
    with pytest.raises(LoptError, match="defines no optimizer and no set"):
        sets_of_file(other, get_suite("laptop"))
    [made] = sets_of_file(path, get_suite("laptop"))
    assert made.optimizer == "OwnImportedSign"


def test_the_sets_of_a_file_are_taken_as_they_are(tmp_path):
    text = OWN.format(name="OwnSignOfASet") + (
        "from learned_optimization.baselines.sets.define import hparam_set\n"
        'hparam_set(name="OwnSet", optimizer=OwnSignOfASet, num_steps=300,\n'
        '    space={"learning_rate": [0.1, 0.2]})\n'
    )
    path = tmp_path / "own_set_of_signs.py"
    path.write_text(text)
    [made] = sets_of_file(path, OTHER)
    assert (made.name, made.num_configs, made.repetitions) == ("OwnSet", 2, 5)
    with pytest.raises(
        LoptError, match="OwnSet is of 300 steps, and suite laptop of 1"
    ):
        sets_of_file(path, get_suite("laptop"))


def test_a_file_of_neither_is_refused(tmp_path):
    path = tmp_path / "own_nothing.py"
    path.write_text("")
    with pytest.raises(LoptError, match="defines no optimizer and no set"):
        sets_of_file(path, OTHER)


def test_names():
    suite = get_suite("laptop")
    assert sets_of_name("AdanCosineLR_1000_R5", suite) == [
        get_hparam_set("AdanCosineLR_1000_R5")
    ]
    assert sets_of_name("Adan", suite) == [get_hparam_set("AdanLR_1000_R5")]
    with pytest.raises(UnknownNameError, match=r"optimizer, set or file 'Adon'.*Adan"):
        sets_of_name("Adon", suite)


def test_an_optimizer_without_a_rate_is_not_tuned(tmp_path):
    path = tmp_path / "own_fixed_steps.py"
    text = OWN.format(name="OwnFixedSteps").replace("learning_rate: float = 1e-3", "")
    path.write_text(text.replace("(learning_rate)", "(0.01)"))
    [made] = sets_of_file(path, get_suite("laptop"))
    assert (made.name, made.num_configs) == ("OwnFixedSteps_1000_R5", 1)
