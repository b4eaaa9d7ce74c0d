"""A set looks the same in every figure, and like no other in it."""

import hashlib
import itertools
import json
from dataclasses import replace

from learned_optimization.baselines.hparam_sets import (
    PACKAGED_SET_NAMES,
    add_hparam_set,
    all_hparam_sets,
    get_hparam_set,
)
from learned_optimization.baselines.plots.styles import COLORS, DASHES, styles
from learned_optimization.baselines.sets.registry import SETS

# Of version 0.1.0, before sets said themselves which family they are of.
PACKAGED_STYLES = "8571ee5dbcbbcb2928eb29a64892946fa69d8751d92856bdbe67e96df16bdb43"


def luminance(color):
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels
    ]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


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


def test_sets_of_the_package_look_as_they_always_did():
    alone = {name: styles([name])[name] for name in PACKAGED_SET_NAMES}
    looks = {name: [style.color, style.dash] for name, style in alone.items()}
    assert looks["AdamLR_1000_R5"] == looks["AdamLR_GradAccum_16384_R3"]
    assert looks["AdamLR_1000_R5"] == ["#0072B2", "solid"]
    assert looks["SGDLR_10000_R5"] == ["#D55E00", "solid"]
    assert looks["LBFGS_1000_R5"] == looks["LBFGSLR_10000_R5"] == ["#D55E00", "dotted"]
    text = json.dumps(looks, sort_keys=True)
    assert hashlib.sha256(text.encode()).hexdigest() == PACKAGED_STYLES


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


def test_colours_differ_in_lightness_too():
    lights = sorted(map(luminance, COLORS))
    # Without any colour, seven greys still have to be some way apart; the closest
    # pair of the palette differs in hue between blue and orange-red.
    assert sum(b - a > 0.03 for a, b in itertools.pairwise(lights)) >= 5
    # On white, drawn lines need a contrast of at least 2 to 1.
    assert all(1.05 / (light + 0.05) >= 2 for light in lights)
