"""Make `docs/optimizers.md`: every optimizer and every hparam set.

    python scripts/make_optimizer_table.py [--check]

With `--check` nothing is written: the page is compared with a fresh one.
"""

from __future__ import annotations

import re
from itertools import groupby

import generated_page

from learned_optimization.baselines.hparam_sets import all_hparam_sets
from learned_optimization.baselines.sets.hparam_set import HParamSet
from learned_optimization.optimizers.base import NEEDS, all_optimizers, summary

PAGE = generated_page.DOCS / "optimizers.md"

_HEAD = """\
# The optimizers and their sets

<!-- Made by scripts/make_optimizer_table.py. -->

{num_optimizers} optimizers and {num_sets} hparam sets. `lopt optimizers` and `lopt
sets` list them; [a file of your own](own_sets.md) adds to them.

Where optax has an optimizer, it is used. The exceptions are Adan, whose differences
optax 0.2.8 weights otherwise than the paper, and NAdamW, which is the one of OptList.
The tests compare each with an independent implementation written from its paper.
A `learning_rate` may be a [schedule](api/optimizers.md) wherever it may be a
number. Some optimizers need more than gradients:

{needs}

Schedule-free optimizers are evaluated at the average of their iterates, all
others where their gradients are taken. `OptList` reads its 1,000 settings from
the published `opt_list.json`: the file that `LOPT_OPT_LIST` names, or else a copy
that is fetched once, checked against its published sha256 and kept in
`LOPT_DATA_DIR` (`LOPT_OPT_LIST_URL` names another address).

The optimizers and schedules of the published baselines are here under the published
names, with the published parameters, and step as the published ones do: `python
benchmarks/optimizer_fidelity.py FILE` compares them with recorded steps. A
published parameter that is missing says why when it is set. An optimizer that is not
in the table is made from any optax transformation, `OptaxOptimizer(optax.adam(1e-3))`.

Shampoo computes inverse roots at every step, as published, and that takes time: for
a small network (64x32 and 32x10, all of it merged and cut into blocks of 128) one
step takes a processor core 100 ms. Where roots are computed at every tenth step, as
`Shampoo128SgdEvery10LR` does, it takes 11 ms; a step of Adam takes 0.04 ms. So 70
trials of 1,000 steps take one core two hours, a quarter of an hour, or seconds.

Not here: Hessian-free and K-FAC methods, which need the model's layers.

| optimizer | what it is | needs | default setting |
|---|---|---|---|
"""

_SETS = """
## Sets

`AdamLR_10000_R5` reads: the family `AdamLR`, 10,000 steps, 5 seeds. Sets over
learning rates have the 14 half-decade values from 3e-7 to 1. `Cosine` and
`Linear` sets warm up over 5% of the run and end at zero; they vary the peak. Sets of
an optimizer without a learning rate vary what its authors tune.

| family | optimizer | configurations | lengths |
|---|---|--:|---|
"""


def page() -> str:
    """Return the whole page."""
    optimizers = all_optimizers()
    sets = all_hparam_sets()
    text = _HEAD.format(
        num_optimizers=len(optimizers),
        num_sets=len(sets),
        needs="\n".join(f"- `{name}`: {how}." for name, how in NEEDS.items()),
    )
    for name, cls in optimizers.items():
        opt = cls()
        needs = ", ".join(f"`{n}`" for n in sorted(opt.needs))
        setting = opt.name.removeprefix(f"{name}_")
        text += f"| `{name}` | {summary(cls)} | {needs} | `{setting}` |\n"
    return text + _SETS + "".join(_families(list(sets.values())))


def _families(sets: list[HParamSet]) -> list[str]:
    def family(hparam_set: HParamSet) -> str:
        return re.sub(r"_\d+_R\d+$", "", hparam_set.name)

    rows = []
    for name, members in groupby(sorted(sets, key=family), key=family):
        group = sorted(members, key=lambda s: (s.num_steps, s.repetitions))
        lengths = ", ".join(f"`{s.num_steps}_R{s.repetitions}`" for s in group)
        first = group[0]
        rows.append(
            f"| `{name}` | `{first.optimizer}` | {first.num_configs} | {lengths} |\n"
        )
    return rows


if __name__ == "__main__":
    generated_page.main(PAGE, page)
