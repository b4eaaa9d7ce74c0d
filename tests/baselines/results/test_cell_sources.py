"""What counts as the code of a definition in a notebook, and what does not."""

import pytest

from learned_optimization.baselines.results.code_digests import digest_of
from tests.cells import Notebook

OPTIMIZER = """
import optax

from learned_optimization.optimizers.optax_optimizer import optax_optimizer


@optax_optimizer
def OfCell(learning_rate=0.5):
    return optax.sgd(scaled(learning_rate))
"""
HELPER = "FACTOR = 2.0\n\n\ndef scaled(rate):\n    return FACTOR * rate\n"
CLASS = """
import optax

from learned_optimization.optimizers.base import hparam, optimizer
from learned_optimization.optimizers.optax_optimizer import OptaxOptimizer


@optimizer
class OfCell(OptaxOptimizer):
    learning_rate: float = hparam(default=0.5, short="lr")

    def transformation(self):
        return optax.sgd(scaled(self.learning_rate))
"""
TASK = """
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from learned_optimization.tasks.base import Task
from learned_optimization.tasks.registry import own_fixed_task

TARGET = np.arange(3.0)


@dataclass(frozen=True)
class Bowl(Task):
    width: float = 1.0
    datasets = None

    def init(self, key):
        return jax.random.normal(key, (3,))

    def loss(self, params, key, data):
        return jnp.sum((params - TARGET) ** 2) * scaled(self.width)


@own_fixed_task
def OfCell():
    return Bowl()
"""
CELLS = {"function": OPTIMIZER, "class": CLASS, "task": TASK}


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Notebook:
    return Notebook(monkeypatch)


def digest(notebook: Notebook, *cells: str) -> str:
    *before, last = cells
    for cell in before:
        notebook.run(cell)
    made = digest_of(notebook.run(last)["OfCell"])
    assert made is not None
    return made


@pytest.mark.parametrize("kind", CELLS)
def test_a_cell_that_runs_again_has_the_same_digest(
    kind: str, notebook: Notebook
) -> None:
    cell = CELLS[kind]
    first = digest(notebook, HELPER, cell)
    assert digest(notebook, HELPER, cell) == first
    said = f"# Only said.\n{cell.replace('0.5', ' 0.5')}\n\nx = 1\n\ndef f(): return x"
    assert digest(notebook, said) == first
    assert digest(notebook, "def another():\n    return 1\n", cell) == first
    assert digest(notebook, HELPER.replace("return", "\n    return ")) == first


@pytest.mark.parametrize("kind", CELLS)
def test_what_it_uses_of_other_cells_counts(kind: str, notebook: Notebook) -> None:
    cell = CELLS[kind]
    digests = {
        digest(notebook, HELPER, cell),
        digest(notebook, "FACTOR = 3.0"),
        digest(notebook, HELPER.replace("FACTOR * rate", "rate")),
    }
    assert len(digests) == 3
    # The helper of the first cell again: so is the digest.
    assert digest(notebook, HELPER) in digests


@pytest.mark.parametrize(
    ("kind", "old", "new"),
    [
        ("function", "sgd(scaled(learning_rate))", "adam(scaled(learning_rate))"),
        ("function", "learning_rate=0.5", "learning_rate=0.25"),
        ("function", "sgd(scaled", "sgd(2 * scaled"),
        ("class", "optax.sgd", "optax.adam"),
        ("class", "default=0.5", "default=0.25"),
        ("task", "width: float = 1.0", "width: float = 2.0"),
        ("task", "Bowl()", "Bowl(3.0)"),
        ("task", "arange(3.0)", "arange(3.0) + 1"),
        ("task", "** 2", "** 4"),
    ],
)
def test_a_change_tells(kind: str, old: str, new: str, notebook: Notebook) -> None:
    first = digest(notebook, HELPER, CELLS[kind])
    assert old in CELLS[kind]
    assert digest(notebook, CELLS[kind].replace(old, new)) != first


@pytest.mark.parametrize("kind", CELLS)
def test_without_a_cell_compiled_code_tells(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    notebook = Notebook(monkeypatch)
    monkeypatch.setattr("linecache.getlines", lambda file: [])
    first = digest(notebook, HELPER, CELLS[kind])
    assert digest(notebook, f"\n\n# Only said.\n{CELLS[kind]}") == first
    changed = CELLS[kind].replace("scaled(", "1 + scaled(")
    assert digest(notebook, changed) != first


def test_a_class_without_functions_is_found(notebook: Notebook) -> None:
    cell = """
from learned_optimization.optimizers.base import hparam, optimizer
from learned_optimization.optimizers.nadamw import NAdamW


@optimizer
class OfCell(NAdamW):
    learning_rate: float = hparam(default={rate}, short="lr")
"""
    first = digest(notebook, cell.format(rate=0.1))
    assert digest(notebook, cell.format(rate=0.2)) != first
    assert digest(notebook, cell.format(rate=0.1)) == first


def test_a_function_that_calls_itself_ends(notebook: Notebook) -> None:
    helper = "def scaled(rate):\n    return scaled(1.0) if rate is None else rate\n"
    assert digest(notebook, helper, CLASS) == digest(notebook, helper, CLASS)


def test_a_module_beside_the_notebook_counts(
    notebook: Notebook, monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    file = tmp_path / "beside_a_notebook.py"
    file.write_text("def scaled(rate):\n    return rate\n")
    first = digest(notebook, "from beside_a_notebook import scaled", CLASS)
    assert digest(notebook, CLASS) == first
    file.write_text("def scaled(rate):\n    return 2 * rate\n")
    assert digest(notebook, CLASS) != first
