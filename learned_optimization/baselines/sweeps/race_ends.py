"""At how many seeds earlier races of the same sets have looked out of turn.

A race that ends between two looks of the schedule looks there as well, which takes a
part of the level of the next look. A longer race of the same sets has to know. Each
such look is a small file in `.races`, below `LOPT_BASELINE_DIR`, whose name says it
all: what a race is about, and the number of seeds.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
from collections.abc import Sequence

from learned_optimization import filesystem
from learned_optimization.baselines import stats
from learned_optimization.baselines.layout import get_root_baseline_dir
from learned_optimization.baselines.sets.hparam_set import HParamSet
from learned_optimization.baselines.stats.looks import is_scheduled

_FOLDER, _SUFFIX = ".races", ".json"


class RaceEnds:
    """The numbers of seeds at which races of some sets have looked out of turn.

    Args:
      task_names: the tasks, in any order.
      hparam_sets: the sets, in any order.
      rules: of the race; of these, the level and the test tell one race from another.
      seed_offset: the first seed.
    """

    def __init__(
        self,
        task_names: Sequence[str],
        hparam_sets: Sequence[HParamSet],
        rules: stats.RaceRules,
        seed_offset: int,
    ):
        self._about = {
            "tasks": sorted(task_names),
            "sets": sorted([s.plan.folder, *s.opt_names] for s in hparam_sets),
            "alpha": rules.alpha,
            "evidence": repr(rules.evidence),
            "first_seed": seed_offset,
        }
        text = json.dumps(self._about)
        self._name = hashlib.sha256(text.encode()).hexdigest()[:24]

    def before(self, max_seeds: int) -> tuple[int, ...]:
        """Return the numbers that a race of so many seeds has to allow for.

        A race that looks at no other seeds than earlier ones allows for those up to
        it. One that looks out of turn before another has to allow for all, which
        `stats.look_levels` refuses.
        """
        ends = self._all()
        if is_scheduled(max_seeds) or max_seeds in ends:
            return tuple(end for end in ends if end <= max_seeds)
        return tuple(ends)

    def remember(self, num_seeds: int) -> None:
        """Record a look, unless it is one of the schedule.

        Raises:
          ResultError: if that cannot be written.
        """
        if is_scheduled(num_seeds) or num_seeds in self._all():
            return
        text = json.dumps({**self._about, "num_seeds": num_seeds}, indent=1)
        path = filesystem.join(_folder(), f"{self._name}_{num_seeds}{_SUFFIX}")
        filesystem.write_bytes(path, text.encode())

    def _all(self) -> list[int]:
        names = [
            posixpath.basename(p) for p in filesystem.list_files(_folder(), _SUFFIX)
        ]
        parts = [name.removesuffix(_SUFFIX).partition("_") for name in names]
        return sorted(
            int(end) for name, _, end in parts if name == self._name and end.isdecimal()
        )


def _folder() -> str:
    return filesystem.join(get_root_baseline_dir(), _FOLDER)
