"""What rounding explains is told from what it does not."""

import numpy as np
import pytest

from learned_optimization.baselines.release.agreement import (
    AMPLIFIED,
    gaps,
    is_amplified,
    worst,
)
from learned_optimization.baselines.sweeps.replay import TOLERANCE

STEPS = np.arange(0, 1010, 10)
KEYS = ("eval/test/loss", "eval/train/loss")


def result(factor: np.ndarray | float = 1.0, num_steps: int = 1000) -> dict:
    """Return a result whose test losses are those of others times a factor."""
    steps = STEPS * num_steps // 1000
    loss = 2.0 / (1.0 + steps / num_steps)
    return {
        "eval/xs": steps,
        "eval/test/loss": loss * factor,
        "eval/train/loss": loss,
        "eval/test/accuracy": loss,
        "final/test/loss": np.float64(1.0),
    }


def thin(whole: dict, places: list[int]) -> dict:
    thinned = {k: v[places] if v.ndim else v for k, v in whole.items()}
    of = {"evaluations": 101, "train_losses": 1001, "loss_bits": 7, "other_bits": 4}
    return thinned | {f"thin/{key}": np.int64(value) for key, value in of.items()}


def growing(size: float, since: int) -> np.ndarray:
    """Return factors that leave 1 at a step, and double every 50 steps from there."""
    return 1.0 + size * 2.0 ** ((np.minimum(STEPS, 800) - since) / 50.0)


def test_gaps_are_relative_and_at_the_steps_of_the_stored_one():
    places = [0, 3, 100]
    again = result(1.1)
    found = gaps({k: v[places] if v.ndim else v for k, v in result().items()}, again)
    assert set(found) == {*KEYS, "final/test/loss"}
    assert found["eval/test/loss"].steps.tolist() == [0, 30, 1000]
    np.testing.assert_allclose(found["eval/test/loss"].sizes, 1 - 1 / 1.1)
    assert found["final/test/loss"].sizes.tolist() == [0.0]
    assert worst(found) == ("eval/test/loss", pytest.approx(1 - 1 / 1.1))
    assert worst(gaps(result(), result())) == ("", 0.0)


def test_later_steps_and_whole_splits_of_longer_runs_do_not_count():
    stored, again = result(num_steps=2000), result(num_steps=2000)
    again["eval/test/loss"] = np.where(again["eval/xs"] > 1000, 9.0, stored[KEYS[0]])
    again["final/test/loss"] = np.float64(2.0)
    found = gaps(stored, again)
    assert worst(found) == ("", 0.0)
    assert "final/test/loss" not in found or not found["final/test/loss"].sizes.size


def test_what_thinning_rounded_is_taken_off():
    found = gaps(thin(result(), [0, 50, 100]), result(1.0 + 2.0**-9))
    assert worst(found) == ("", 0.0)
    _, size = worst(gaps(thin(result(), [0, 50, 100]), result(1.02)))
    assert size == pytest.approx(0.02 / 1.02 - 2.0**-8)


def test_one_that_is_finite_alone_is_infinitely_far():
    factor = np.where(STEPS > 500, np.nan, 1.0)
    assert worst(gaps(result(), result(factor))) == ("eval/test/loss", np.inf)
    assert worst(gaps(result(factor), result(factor))) == ("", 0.0)


def test_what_rounding_alone_does_explains_as_much():
    again = result()
    alone = gaps(again, result(growing(1e-7, 0)))
    assert worst(alone)[1] > 5 * TOLERANCE
    # As large, but begun some steps earlier; and later.
    assert is_amplified(gaps(result(growing(-1e-7, -100)), again), alone)
    assert is_amplified(gaps(result(growing(1e-7, 200)), again), alone)
    # Far larger, as large before rounding has grown, and of what it leaves alone.
    many = 1.0 + 3 * AMPLIFIED * (growing(1e-7, 0) - 1.0)
    assert not is_amplified(gaps(result(many), again), alone)
    early = np.where(STEPS == 100, 1.0 + 3 * TOLERANCE, 1.0)
    assert not is_amplified(gaps(result(early), again), alone)
    other = result() | {"eval/train/loss": again["eval/train/loss"] * 1.01}
    assert not is_amplified(gaps(other, again), alone)


def test_where_rounding_does_nothing_nothing_is_explained():
    alone = gaps(result(), result())
    assert is_amplified(gaps(result(1.0 + TOLERANCE / 2), result()), alone)
    assert not is_amplified(gaps(result(1.0 + 2 * TOLERANCE), result()), alone)
