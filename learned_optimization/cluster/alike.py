"""Checks that a node computes the same numbers as the process that asks it to."""

from __future__ import annotations

from dataclasses import dataclass

from learned_optimization import numerics
from learned_optimization.baselines.sweeps.trials import versions
from learned_optimization.errors import LoptError


@dataclass(frozen=True)
class Installation:
    """What decides the numbers of a process.

    Attributes:
      versions: `package==version` of all that decides a curve.
      jax_config: as of `numerics.record`.
    """

    versions: tuple[str, ...]
    jax_config: str

    @classmethod
    def of_this_process(cls) -> Installation:
        """Return what this process has."""
        return cls(tuple(versions()), numerics.record())

    def check_is_alike(self, what: str) -> None:
        """Raise unless this process has the same.

        Args:
          what: what was started with it, such as "the sweep".

        Raises:
          LoptError: if something differs.
        """
        here = Installation.of_this_process()
        if different := [v for v in self.versions if v not in here.versions]:
            others = [v for v in here.versions if v not in self.versions]
            raise LoptError(
                f"{', '.join(different)} started {what}, but there "
                f"{', '.join(others)} would train it, and give other curves. Install "
                "the same versions on all nodes."
            )
        if here.jax_config != self.jax_config:
            raise LoptError(
                f"{what} was started with {numerics.shown(self.jax_config)}, but there "
                f"{numerics.shown(here.jax_config)} would train it, and give other "
                "curves. Set jax alike on all nodes, by environment variables."
            )
