"""The sets of the published comparison, as they were published."""

from __future__ import annotations

from learned_optimization.baselines.sets.hparam_set import HParamSet
from learned_optimization.errors import LoptError

_GRAFTS = ("Sgd", "Adagrad", "Rmsprop", "RmspropNormalized", "SqrtN")

PUBLISHED_SET_NAMES = (
    *(f"AdamLR_{n}" for n in ("1000_R5", "2000_R5", "10000_R5", "10000_R1")),
    *(f"{opt}LR_2000_R5" for opt in ("SGD", "SGDM")),
    *(
        f"{opt}LR_10000_R5"
        for opt in (
            *("SGD", "SGDM", "RMSProp", "RMSPropMom", "AdaBelief", "SM3", "Yogi"),
            *("RAdam", "Lamb", "Lars", "Fromage", "AdamW", "Adafactor", "AdaGrad"),
            *(f"Shampoo128{graft}" for graft in (*_GRAFTS, "AdagradNormalized")),
        )
    ),
    *(
        f"{opt}LR_{num_steps}_R5"
        for opt in ("Adam", "RAdam", "AdamSqrtDecay", "AdamExpDecay")
        for num_steps in (100_000, 300_000)
    ),
    "SM3beta2_999_LR_10000_R5",
    "Grad10AdamLR_100000_R5",
    "OptList1k_10000_R5",
    *(f"AdamLR_GradAccum_16384_R{r}" for r in (3, 5, 32)),
    *(f"{opt}LR_GradAccum_16384_R5" for opt in ("SGD", "SGDM")),
)
"""Names of the sets of the published comparison."""


def as_published(hparam_set: HParamSet) -> HParamSet:
    """Return a set with all the configurations it was published with.

    Raises:
      LoptError: if it is no set of the published comparison.
    """
    if hparam_set.name not in PUBLISHED_SET_NAMES:
        raise LoptError(
            f"{hparam_set.name} was never published: there is no other form of it. "
            "Leave out as_published."
        )
    return hparam_set.with_published_rate()
