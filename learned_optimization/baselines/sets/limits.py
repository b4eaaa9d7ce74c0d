"""How large a set may be: what is beyond is a slip of the pen, refused at once.

A set is in memory as a list of settings, and everything that looks at results goes
through its trials. The largest set of this package has 5,000 of them.
"""

from __future__ import annotations

from learned_optimization.errors import LoptError, check_at_least

MAX_CONFIGS = 100_000
"""Configurations of a set. The optimizer of each is made when the set is defined."""

MAX_TRIALS = 1_000_000
"""Configurations times seeds."""

MAX_FILE_BYTES = 1 << 20
"""Bytes of a YAML or gin file: some 20,000 lines, which take seconds to parse."""

MAX_YAML_NODES = 100_000
"""Values and lists in a YAML file, where each use of an anchor counts as all it stands
for."""


def check_size(num_configs: int, seeds: int) -> None:
    """Refuse a set that is too large.

    Raises:
      LoptError: naming the number, and what is allowed.
    """
    check_at_least("seeds", seeds, 1, MAX_TRIALS)
    check_at_least("the number of configurations", num_configs, 0, MAX_CONFIGS)
    if num_configs * seeds > MAX_TRIALS:
        raise LoptError(
            f"{num_configs:,} configurations with {seeds:,} seeds each are "
            f"{num_configs * seeds:,} trials: a set may have {MAX_TRIALS:,}."
        )
