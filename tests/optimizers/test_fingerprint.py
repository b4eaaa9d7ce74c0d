"""Values told apart by their fingerprints."""

import functools
import subprocess
import sys
import threading
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
import pytest

from learned_optimization.errors import LoptError
from learned_optimization.optimizers.fingerprint import fingerprint

RATE = 0.5


def _reads_a_constant(x: Any) -> Any:
    return RATE * x


def _scaled(factor: float) -> Any:
    return lambda x: factor * x


class _Holder:
    def __init__(self, value: Any):
        self.value = value


DIFFERENT = [
    *(1, 1.0, "1", b"1", True, None, (1,), [1], {1}, {1: 1}, (1, (2, 3)), ((1, 2), 3)),
    *(np.array([1, 2], np.float32), np.array([1, 2], np.float64)),
    np.array([[1], [2]], np.float32),
    *(("ab", "c"), ("a", "bc"), int, float, np, jax),
    *(_scaled(0.1), _scaled(0.2), lambda x: x + 1, lambda x: x + 2, jnp.exp, np.exp),
    *(functools.partial(_scaled, 0.1), functools.partial(_scaled, factor=0.1)),
    *(jax.jit(_scaled(0.1)), jax.jit(_scaled(0.2)), _Holder(1), _Holder(2)),
    *(_Holder(1).__init__, _Holder(2).__init__),
    *(optax.sgd(0.1), optax.sgd(0.2), optax.sgd(0.1, momentum=0.9)),
    *(optax.adam(1e-3), optax.adam(2e-3), optax.adam(1e-3, b1=0.8), optax.adamw(1e-3)),
    optax.adam(optax.cosine_decay_schedule(0.1, 100)),
    optax.adam(optax.cosine_decay_schedule(0.1, 200)),
    optax.chain(optax.clip(1.0), optax.sgd(0.1)),
    optax.chain(optax.clip(2.0), optax.sgd(0.1)),
    optax.chain(optax.sgd(0.1), optax.clip(1.0)),
    optax.inject_hyperparams(optax.adam)(1e-3),
    optax.inject_hyperparams(optax.adam)(2e-3),
    optax.masked(optax.sgd(0.1), {"a": True, "b": False}),
    optax.masked(optax.sgd(0.1), {"a": False, "b": True}),
    *(optax.contrib.muon(0.1), optax.contrib.schedule_free_sgd(0.1), optax.lbfgs()),
]


def test_different_values_have_different_fingerprints() -> None:
    prints = [fingerprint(value) for value in DIFFERENT]
    assert len(set(prints)) == len(prints)
    assert all(len(one) == 10 and int(one, 16) >= 0 for one in prints)


def test_equal_values_have_one_fingerprint() -> None:
    for make in (
        lambda: optax.adam(1e-3),
        lambda: optax.chain(optax.clip(1.0), optax.contrib.muon(0.1)),
        lambda: _scaled(0.1),
        lambda: np.array([1, 2], np.float32),
        lambda: {"a": {1, 2, 3}, "b": _Holder([1, 2])},
    ):
        assert fingerprint(make()) == fingerprint(make())
    # A number is a number, whichever library made the array.
    assert fingerprint(jnp.float32(2)) == fingerprint(np.float32(2))


def test_a_constant_that_is_read_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint(_reads_a_constant)
    monkeypatch.setattr(sys.modules[__name__], "RATE", 0.25)
    assert fingerprint(_reads_a_constant) != before


def test_functions_that_hold_themselves() -> None:
    def make(step: int) -> Any:
        def down(n: int) -> int:
            return 0 if n <= 0 else down(n - step)

        return down

    assert fingerprint(make(1)) == fingerprint(make(1)) != fingerprint(make(2))


def test_what_cannot_be_told_apart_is_refused() -> None:
    value = (1, threading.Lock())
    with pytest.raises(LoptError, match=r"_thread.lock cannot be told .* `name`"):
        fingerprint(value)


@pytest.mark.slow
def test_processes_agree() -> None:
    program = (
        "import optax; from learned_optimization.optimizers.fingerprint import "
        "fingerprint; print(fingerprint(optax.chain(optax.clip(1.), optax.adam(.1))))"
    )
    run = functools.partial(subprocess.run, capture_output=True, text=True, check=True)
    printed = run([sys.executable, "-c", program]).stdout.strip()
    assert printed == fingerprint(optax.chain(optax.clip(1.0), optax.adam(0.1)))
