"""Labels are short, never ambiguous, and say once what all sets share."""

import itertools

import pytest

from learned_optimization.baselines.analysis.hyperparameters import Hyperparameters
from learned_optimization.baselines.hparam_sets import PACKAGED_SET_NAMES
from learned_optimization.baselines.plots.labels import config_label, short_labels


@pytest.mark.parametrize(
    ("names", "labels", "pattern"),
    [
        (["AdamLR_10000_R5", "RAdamLR_10000_R5"], ["Adam", "RAdam"], "*LR_10000_R5"),
        (["AdamLR_10000_R5", "LBFGS_10000_R5"], ["AdamLR", "LBFGS"], "*_10000_R5"),
        (
            ["AdamLR_1000_R5", "AdamLR_10000_R5"],
            ["AdamLR_1000", "AdamLR_10000"],
            "*_R5",
        ),
        (["SM3LR_1_R5", "SM3beta2_9_LR_1_R5"], ["SM3", "SM3beta2_9"], "*LR_1_R5"),
        (["AdamLR_10000_R5"], ["AdamLR_10000_R5"], ""),
        (["mine", "mine_R5"], ["mine", "mine_R5"], ""),
        (["a", "b"], ["a", "b"], ""),
        (["LR_1", "x_LR_1"], ["LR", "x_LR"], "*_1"),
        # Without what they share, and the rest of a line below it, both were `a`.
        (["a__R5", "a_R5"], ["a_", "a"], "*_R5"),
        ([], [], ""),
    ],
)
def test_short(names, labels, pattern):
    got = short_labels(names)
    assert (list(got.of.values()), got.pattern) == (labels, pattern)
    assert list(got.of) == names


def test_all_pairs_of_the_package_are_told_apart():
    for pair in itertools.combinations(PACKAGED_SET_NAMES, 2):
        got = short_labels(pair)
        assert len(set(got.of.values())) == 2, pair
        for name, label in got.of.items():
            assert label
            assert name in (label + got.shared, f"{label}_{got.shared}"), pair


def test_all_of_the_package_are_told_apart():
    labels = short_labels(PACKAGED_SET_NAMES).of.values()
    assert len(set(labels)) == len(PACKAGED_SET_NAMES)


def test_given():
    names = ["AdamLR_10000_R5", "RAdamLR_10000_R5", "SGDLR_10000_R5"]
    got = short_labels(names, {names[2]: "plain", "other": "x"})
    assert list(got.of.values()) == ["Adam", "RAdam", "plain"]
    assert got.pattern == "*LR_10000_R5"
    # A short label that another set has been given is not used.
    got = short_labels(names, {names[2]: "Adam"})
    assert list(got.of.values()) == [names[0], "RAdam", "Adam"]
    got = short_labels(names, dict(zip(names, "abc", strict=True)))
    assert (list(got.of.values()), got.pattern) == (["a", "b", "c"], "")


def test_configurations():
    rates = [{"learning_rate": rate, "beta1": 0.9} for rate in (0.0003162277, 1.0)]
    assert config_label(Hyperparameters(tuple(rates)), 0) == "lr 0.000316"
    two = [row | {"C.weight_decay": row["learning_rate"] / 10} for row in rates]
    assert config_label(Hyperparameters(tuple(two)), 1) == "lr 1, wd 0.1"
    many = [row | {"a": i, "b": i} for i, row in enumerate(two)]
    assert config_label(Hyperparameters(tuple(many)), 1) == ""
    assert config_label(Hyperparameters((rates[0],)), 0) == ""
