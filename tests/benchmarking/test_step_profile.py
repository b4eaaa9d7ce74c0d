"""A profile tells operations apart, and accounts for all of a step's time."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import pytest

from learned_optimization.benchmarking import peak
from learned_optimization.benchmarking.step_profile import (
    PRODUCTS,
    kinds_of_operations,
    share_of_peak,
    step_profile,
)
from learned_optimization.tasks.base import Task

# They compile a program each, or train in processes of their own.
pytestmark = pytest.mark.slow


def kinds_used(function, *shapes):
    args = [jnp.ones(shape) for shape in shapes]
    text = str(jax.jit(function).lower(*args).compile().as_text())
    return set(kinds_of_operations(text).values())


@pytest.mark.parametrize(
    ("function", "shapes", "kind"),
    [
        (lambda a, b: a @ b, [(64, 32), (32, 16)], "matrix products"),
        (
            lambda x, w: jax.lax.conv(x, w, (1, 1), "SAME"),
            [(2, 3, 8, 8), (4, 3, 3, 3)],
            "convolutions",
        ),
        (lambda x: x.sum(), [(64, 32)], "reductions"),
        (lambda x: jnp.sort(x), [(640,)], "gathers, scatters, sorts"),
        (lambda x: jnp.exp(x) * 2, [(64, 32)], "element by element"),
    ],
)
def test_kinds(function, shapes, kind):
    found = kinds_used(function, *shapes)
    assert kind in found
    assert found <= {kind, "moving data"}


def test_what_a_loop_does_counts_and_the_loop_does_not():
    def function(x):
        return jax.lax.fori_loop(0, x.shape[0], lambda i, y: y @ x, x)

    text = str(jax.jit(function).lower(jnp.ones((32, 32))).compile().as_text())
    found = kinds_of_operations(text)
    assert "matrix products" in found.values()
    assert not [name for name in found if name.startswith("while")]


@dataclass(frozen=True)
class Products(Task):
    """Nearly nothing but products of large matrices."""

    size: int = 600

    def init(self, key):
        return jax.random.normal(key, (self.size, self.size)) / self.size

    def loss(self, params, key, data):
        product = params
        for _ in range(4):
            product = product @ params
        return product.sum()


def test_a_task_of_products(monkeypatch):
    monkeypatch.setattr(peak, "_SIZE", 600)
    found = step_profile(Products(), seconds=0.5)
    assert sum(found["shares"].values()) == pytest.approx(1)
    assert sum(found["shares"].get(kind, 0) for kind in PRODUCTS) > 0.5
    # Each product of the loss has two in the gradient.
    assert found["flops_per_step"] == pytest.approx(12 * 2 * 600**3, rel=0.1)
    whole, products = share_of_peak(found)
    # Neither is compared with a peak of the machine, whose speed is not constant.
    assert 0 < whole <= products
