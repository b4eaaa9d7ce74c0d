"""The line that follows meta-training."""

import numpy as np
import pytest

from learned_optimization.cli.meta_progress import Display, sentence
from learned_optimization.outer_trainers.run import MetaProgress


def progress(done: int, score: float | None = None) -> MetaProgress:
    best = None if score is None else -0.5
    return MetaProgress(done, 2000, 0.12345, score, best, 8.0)


def test_a_line_says_how_far_it_is() -> None:
    assert sentence(progress(1200)) == (
        "meta-step 1,200 of 2,000: meta-loss 0.1235, 8.0 per second, 100 s left"
    )


def test_a_score_is_a_share_of_tuned_adam() -> None:
    text = sentence(progress(1200, np.log(1.05)))
    assert ", held out 105.0% of tuned Adam's loss (best 60.7%), 8.0 per" in text
    assert ", held out diverged of" not in text
    assert "held out: a run diverged (best 60.7%)" in sentence(progress(1200, np.inf))


def test_without_a_terminal_there_are_few_lines(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Display() as display:
        for done in range(20, 2001, 20):
            display.show(progress(done))
    printed = capsys.readouterr()
    assert printed.out == ""
    steps = [line.split(" of ")[0] for line in printed.err.splitlines()]
    assert steps == [f"meta-step {done:,}" for done in range(200, 2001, 200)]
