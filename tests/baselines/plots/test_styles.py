"""A set looks the same in every figure, and like no other in it."""

import itertools
import random
from dataclasses import replace

import numpy as np
import pytest

from learned_optimization.baselines.hparam_sets import (
    PACKAGED_SET_NAMES,
    add_hparam_set,
    all_hparam_sets,
    get_hparam_set,
)
from learned_optimization.baselines.plots.styles import COLORS, DASHES, Style, styles
from learned_optimization.baselines.sets.registry import SETS

SRGB = np.asarray(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)

# What eyes see that lack one kind of cone (Machado, Oliveira & Fernandes 2009).
EYES = {
    "most": np.eye(3),
    "protan": np.asarray(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deutan": np.asarray(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritan": np.asarray(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}


def test_stable_whatever_else_is_drawn():
    alone = styles(["SGDLR_10000_R5"])["SGDLR_10000_R5"]
    among = styles(["LambLR_10000_R5", "AdamLR_10000_R5", "SGDLR_10000_R5"])
    assert among["SGDLR_10000_R5"] == alone
    assert styles(["SGDLR_1000_R5"])["SGDLR_1000_R5"] == alone
    assert styles(["mine"]) == styles(["mine"])


def test_a_set_of_the_package_keeps_its_place():
    alone = styles(["AdamLR_1000_R5"])["AdamLR_1000_R5"]
    for others in (["AdamaxLR_1000_R5"], ["q0", "q1", "my_a", "my_b"], ["mine"] * 2):
        together = styles([*others, "AdamLR_1000_R5"])
        assert together["AdamLR_1000_R5"] == alone
        assert len(set(together.values())) == len(together)


def test_a_family_looks_alike():
    alone = {name: styles([name])[name] for name in PACKAGED_SET_NAMES}
    assert alone["AdamLR_1000_R5"] == alone["AdamLR_GradAccum_16384_R3"]
    assert alone["LBFGS_1000_R5"] == alone["LBFGSLR_10000_R5"]
    assert alone["AdamLR_1000_R5"] == Style(COLORS[0], "solid")
    families = {SETS.get(name).family for name in PACKAGED_SET_NAMES}
    assert len(set(alone.values())) == min(len(families), len(COLORS) * len(DASHES))


@pytest.mark.parametrize("seed", range(20))
def test_ten_sets_have_ten_colours(seed):
    rng = random.Random(seed)
    every = [*PACKAGED_SET_NAMES, *(f"mine{i}" for i in range(40))]
    for count in (2, 10):
        look = styles(rng.sample(every, count))
        assert len({style.color for style in look.values()}) == count
    look = styles(rng.sample(every, 40))
    assert len(set(look.values())) == 40


def test_a_set_of_ones_own_looks_the_same_with_and_without_its_definition():
    name = "AdamLR_500_R3"
    before = styles([name])
    with SETS.temporarily():
        add_hparam_set(replace(get_hparam_set("SGDLR_1000_R5"), name=name))
        assert styles([name]) == before


def test_no_two_look_alike():
    most = len(COLORS) * len(DASHES)
    names = list(all_hparam_sets())[:most]
    assert len(set(styles(names).values())) == most
    everything = styles([*all_hparam_sets(), "mine", "theirs"])
    assert len(everything) == len(all_hparam_sets()) + 2


def linear(color):
    """The amounts of light of a colour's three channels."""
    channels = np.asarray([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(
        channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4
    )


def lab(light):
    """CIELAB of amounts of light, under D65."""
    xyz = SRGB @ light / SRGB.sum(axis=1)
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.asarray([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def ciede2000(one, two):
    """The difference of two colours in CIELAB (Sharma, Wu & Dalal 2005)."""
    chroma = (np.hypot(*one[1:]) + np.hypot(*two[1:])) / 2
    stretch = 1.5 - 0.5 * np.sqrt(chroma**7 / (chroma**7 + 25**7))
    a1, a2, b1, b2 = one[1] * stretch, two[1] * stretch, one[2], two[2]
    c1, c2 = np.hypot(a1, b1), np.hypot(a2, b2)
    h1, h2 = (np.degrees(np.arctan2(b, a)) % 360 for a, b in ((a1, b1), (a2, b2)))
    turn = 0.0 if c1 * c2 == 0 else (h2 - h1 + 180) % 360 - 180
    light, c, h = (one[0] + two[0]) / 2, (c1 + c2) / 2, np.radians(h1 + turn / 2)
    weight = (
        1
        - 0.17 * np.cos(h - np.radians(30))
        + 0.24 * np.cos(2 * h)
        + 0.32 * np.cos(3 * h + np.radians(6))
        - 0.20 * np.cos(4 * h - np.radians(63))
    )
    middle = (light - 50) ** 2
    dl = (two[0] - one[0]) / (1 + 0.015 * middle / np.sqrt(20 + middle))
    dc = (c2 - c1) / (1 + 0.045 * c)
    dh = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn / 2)) / (1 + 0.015 * c * weight)
    around = np.exp(-(((np.degrees(h) % 360 - 275) / 25) ** 2))
    rotation = -np.sin(np.radians(60 * around)) * 2
    rotation *= np.sqrt(c**7 / (c**7 + 25**7))
    return np.sqrt(dl**2 + dc**2 + dh**2 + rotation * dc * dh)


def test_the_difference_of_colours_is_measured_right():
    # Pairs 1, 5, 9, 17 and 19 of the table of Sharma, Wu & Dalal (2005).
    for one, two, difference in (
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, -1.1848, -84.8006), (50, 0, -82.7485), 1.0000),
        ((50, 2.49, -0.001), (50, -2.49, 0.0009), 7.1792),
        ((50, 2.5, 0), (73, 25, -18), 27.1492),
        ((50, 2.5, 0), (56, -27, -3), 31.9030),
    ):
        got = ciede2000(np.asarray(one, float), np.asarray(two, float))
        assert got == pytest.approx(difference, abs=1e-4)


@pytest.mark.parametrize(
    ("eyes", "least"), [("most", 17), ("protan", 10), ("deutan", 10), ("tritan", 10)]
)
def test_every_two_colours_can_be_told_apart(eyes, least):
    seen = [lab(np.clip(EYES[eyes] @ linear(color), 0, 1)) for color in COLORS]
    assert len(seen) == 10
    for one, two in itertools.combinations(range(10), 2):
        assert ciede2000(seen[one], seen[two]) >= least, (COLORS[one], COLORS[two])


@pytest.mark.parametrize("page", ["#ffffff", "#14181d"])
def test_colours_stand_out_from_a_page(page):
    paper = SRGB[1] @ linear(page)
    for color in COLORS:
        low, high = sorted([paper, SRGB[1] @ linear(color)])
        assert (high + 0.05) / (low + 0.05) >= 3, color
