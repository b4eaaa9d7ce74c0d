"""Sweeps, races and reports from Python, as in a notebook.

    from learned_optimization.notebooks import race, report, sweep

    sweep("ImageMLP_FashionMnist8_Relu32", ["AdamLR_1000_R5", "SGDMLR_1000_R5"])

They do what the commands of the same names do, in the same store: what one of them has
trained, the other finds. A bar shows how far they are, where `ipywidgets` is installed;
lines now and then elsewhere. What they return shows itself below the cell, and holds
plain data.
"""

from __future__ import annotations

from learned_optimization.notebooks.challenging import challenge
from learned_optimization.notebooks.pictures import Page, Picture
from learned_optimization.notebooks.racing import RaceResult, race
from learned_optimization.notebooks.reporting import Report, report
from learned_optimization.notebooks.sweeping import SweepResult, sweep

__all__ = [
    "Page",
    "Picture",
    "RaceResult",
    "Report",
    "SweepResult",
    "challenge",
    "race",
    "report",
    "sweep",
]
