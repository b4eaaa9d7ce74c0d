"""A release of archives that were trained, small: the sets and the task they are of."""

from pathlib import Path

import pytest

from learned_optimization.baselines.hparam_sets import add_hparam_set
from learned_optimization.baselines.release.build import build
from learned_optimization.baselines.release.manifest import Manifest
from learned_optimization.baselines.sets.hparam_set import HParamSet

TASK = "ImageMLP_FashionMnist8_Relu32"
SET = "ShortSGD_30_R2"


def short_set() -> HParamSet:
    """Two learning rates of SGD, and one at which it diverges, with two seeds."""
    rates = (0.001, 0.03, 1e8)
    return add_hparam_set(
        HParamSet(
            name=SET,
            optimizer="SGD",
            opt_names=tuple(f"SGD_lr{rate}" for rate in rates),
            hparams=tuple({"learning_rate": rate} for rate in rates),
            num_steps=30,
            repetitions=2,
            eval_every=1,
            eval_batches=1,
            last_eval_batches=1,
        )
    )


def build_short(folder: Path) -> Manifest:
    """Train the set, and build a release of it."""
    return build([(TASK, short_set())], str(folder), "short", "a command")


def find_releases(monkeypatch: pytest.MonkeyPatch, packaged: Path) -> None:
    """Let releases stand in for archives, those of the package being in a folder."""
    monkeypatch.delenv("LOPT_NO_RELEASES")
    monkeypatch.setattr(
        "learned_optimization.baselines.release.places.PACKAGED", packaged
    )
