"""What is said of a meta-trained optimizer and Adam, from losses made up."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from learned_optimization.baselines.stats import PairOutcome
from learned_optimization.cli.meta_verdict import COSINE, compare_with_adam
from learned_optimization.learned_optimizers.learnable import LearnableSGD
from learned_optimization.learning_rates import LEARNING_RATES
from learned_optimization.optimizers.base import Optimizer
from learned_optimization.outer_trainers import held_out
from learned_optimization.prng import key_of_seed

LOPT = LearnableSGD()
TASK, STEPS, SEEDS = "ImageMLP_FashionMnist8_Relu32", 50, 8
UNTRAINED = 2.3
# By outer_valid, and by test.
BEST, LUCKY = 5, 6

Losses = dict[str, np.ndarray]


def ending(own: np.ndarray, adam: np.ndarray) -> Callable[..., Losses]:
    """Return what trains: the test losses of the optimizer, and of Adam's best rate.

    Args:
      own: float `[seeds]`.
      adam: float `[seeds]`.
    """

    def trained(
        task_name: str, opts: Sequence[Optimizer], num_steps: int, num_seeds: int
    ) -> Losses:
        assert (task_name, num_steps, num_seeds) == (TASK, STEPS, SEEDS)
        if len(opts) == 1:
            ends = {"test": own[None], "outer_valid": own[None] + 0.01}
        else:
            assert len(opts) == len(LEARNING_RATES)
            far = np.linspace(0.2, 0.5, len(opts))[:, None] + adam
            ends = {"test": far.copy(), "outer_valid": far}
            ends["test"][BEST], ends["outer_valid"][BEST] = adam, adam + 0.01
            ends["test"][LUCKY] = adam - 0.001
        shape = len(opts), num_seeds
        names = np.asarray([opt.name for opt in opts])
        made = {
            "eval/xs": np.broadcast_to([0, num_steps], (*shape, 2)),
            "opt_name": np.broadcast_to(names[:, None], shape),
            "seed": np.broadcast_to(np.arange(num_seeds), shape),
        }
        for split in ("train", "outer_valid", "test"):
            last = ends.get(split, ends["test"])
            begun = np.full(shape, UNTRAINED)
            made[f"eval/{split}/loss"] = np.stack([begun, last], -1)
            made[f"final/{split}/loss"] = last
        return made

    return trained


@pytest.mark.parametrize(
    ("less", "spread", "outcome", "words"),
    [
        (0.05, 0.002, PairOutcome.BETTER, f"{LOPT.name} is better than {COSINE}"),
        (-0.05, 0.002, PairOutcome.BETTER, f"{COSINE} is better than {LOPT.name}"),
        # 1% of what Adam improves is 0.018.
        (0.0, 0.002, PairOutcome.EQUIVALENT, "equivalent within 1% of the improvement"),
        (0.01, 0.05, PairOutcome.UNDECIDED, "are not told apart: "),
    ],
)
def test_a_verdict_is_of_differences_by_seed(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    less: float,
    spread: float,
    outcome: PairOutcome,
    words: str,
) -> None:
    # What seeds have in common is ten times what is to be told, and cancels.
    common = 0.5 + np.linspace(-0.3, 0.3, SEEDS)
    noise = spread * np.asarray([1, -1, -1, 1, 1, -1, -1, 1.0])
    monkeypatch.setattr(held_out, "trained", ending(common - less + noise, common))
    theta = LOPT.init(key_of_seed(0))
    verdict = compare_with_adam(
        LOPT, theta, [TASK], STEPS, thoroughly=False, num_seeds=SEEDS
    )
    comparison = verdict.tasks[0].comparison
    assert comparison is not None
    pair = comparison.pair(LOPT.name, COSINE)
    assert pair.outcome is outcome
    # The first seed only chooses.
    sign = 1 if comparison.name(pair.a) == LOPT.name else -1
    assert sign * pair.difference == pytest.approx(-less + noise[1:].mean())
    said = capsys.readouterr().out
    assert words in said
    # The rate that outer_valid chooses, and its loss on test.
    assert f"best of 14: {LEARNING_RATES[BEST]:g}" in said
    assert f"{common[1:].mean():.4f} [" in said
    assert f"{TASK}, {STEPS} steps, {SEEDS} seeds" in said


def test_thoroughly_it_is_compared_with_what_nothing_has_trained(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own = np.linspace(0.4, 0.6, SEEDS)
    monkeypatch.setattr(held_out, "trained", ending(own, own + 0.1))
    theta = LOPT.init(key_of_seed(0))
    compare_with_adam(LOPT, theta, [TASK], STEPS, thoroughly=True, num_seeds=SEEDS)
    said = capsys.readouterr().out
    assert said.count(" is better than ") == 2
    assert f"{LOPT.name} before any learning" in said
