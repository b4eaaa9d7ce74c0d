"""Search spaces: the values of each hyper-parameter, and configurations of them.

A space maps a hyper-parameter to a list of values or to a range:

    {
        "learning_rate": {"log": [1e-4, 1e-1], "points": 4},
        "beta1": [0.9, 0.95],
        "block_size": {"log_int": [1, 256]},
    }

A range is `log` or `linear`, or `log_int` or `int` for whole numbers; both ends
belong to it. `grid` takes its `points`, which the random searches ignore.

Numbers that are drawn or spaced are rounded to 6 significant digits, so that a
name that shows a number shows all of it. The first configurations of a longer
search are those of a shorter one: a search can be extended, and what is trained
can still be used.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import qmc

from learned_optimization.errors import LoptError, UnknownNameError, check_at_least

Value = bool | int | float | str | None
Config = dict[str, Value]

KINDS = ("log", "linear", "log_int", "int")

_DIGITS = 6

# After so many draws without a new configuration, there are taken to be no more.
_PATIENCE = 10_000


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included.

    Attributes:
      low: the least number.
      high: the greatest number.
      log: whether numbers are evenly spread by their logarithms.
      whole: whether only whole numbers belong to it.
      points: how many a grid takes; None where no grid is meant.
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False
    points: int | None = None

    @property
    def num_values(self) -> float:
        """How many values there are; infinitely many unless they are whole."""
        return self.high - self.low + 1 if self.whole else math.inf

    def value_at(self, share: float) -> int | float:
        """Return the value below which a given share, in [0, 1), of the range lies."""
        # A whole number stands for everything up to the next one.
        high = self.high + 1 if self.whole else self.high
        if self.log:
            # Not by their ratio, which can overflow.
            low, high = math.log(self.low), math.log(high)
            value = math.exp(low + share * (high - low))
        else:
            value = self.low + share * (high - self.low)
        return self._clip(math.floor(value) if self.whole else value)

    def spaced(self, points: int) -> list[int | float]:
        """Return `points` evenly spread values, both ends included; some may repeat."""
        spread = np.geomspace if self.log else np.linspace
        values = spread(self.low, self.high, points).tolist()
        return [self._clip(round(v) if self.whole else v) for v in values]

    def _clip(self, value: float) -> int | float:
        if not self.whole:
            value = float(f"{value:.{_DIGITS}g}")
        return min(max(value, self.low), self.high)


Values = tuple[Value, ...] | Range
Space = dict[str, Values]


def parse_space(space: Mapping[str, Any]) -> Space:
    """Read a space as a person writes it.

    Args:
      space: hyper-parameter to a list of values, or to a range such as
        `{"log": [1e-4, 1e-1], "points": 4}`.

    Raises:
      LoptError: naming the hyper-parameter and what is wrong with its values.
    """
    if not isinstance(space, Mapping):
        raise LoptError(
            "a space maps each hyper-parameter to its values, e.g. "
            f"{{'learning_rate': [0.001, 0.01]}}, got {space!r}."
        )
    parsed: Space = {}
    for key, values in space.items():
        if not isinstance(key, str):
            raise LoptError(f"a hyper-parameter's name must be text, got {key!r}.")
        if isinstance(values, Mapping):
            parsed[key] = _parse_range(key, values)
        else:
            parsed[key] = _parse_choices(key, values)
    return parsed


def as_value(what: str, value: Any) -> Value:
    """Return a hyper-parameter's value as plain Python: a number, text, a bool or None.

    Raises:
      LoptError: if it is something else, or a number that is not finite.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        raise LoptError(f"{what} must be finite, got {value}.")
    if value is not None and not isinstance(value, (bool, int, float, str)):
        raise LoptError(
            f"{what} must be a number, text, True, False or None, got {value!r}."
        )
    return value


def _parse_choices(key: str, values: Any) -> tuple[Value, ...]:
    values = values.tolist() if isinstance(values, np.ndarray) else values
    if not isinstance(values, Sequence) or isinstance(values, (str, bytes)):
        raise LoptError(
            f"{key} must have a list of values or a range such as "
            f"{{'log': [0.0001, 0.1]}}, got {values!r}. A single value is given as "
            "fixed."
        )
    if not values:
        raise LoptError(f"{key} has an empty list of values: give at least one.")
    choices = tuple(as_value(f"a value of {key}", v) for v in values)
    for i, value in enumerate(choices):
        if value in choices[:i]:
            raise LoptError(f"{key} lists the value {value!r} twice: leave one out.")
    return choices


def _parse_range(key: str, given: Mapping[Any, Any]) -> Range:
    words = (*KINDS, "points")
    for word in given:
        if word not in words:
            raise UnknownNameError(f"word in the range of {key}", str(word), words)
    kinds = [word for word in given if word != "points"]
    if len(kinds) != 1:
        raise LoptError(
            f"the range of {key} must be of one kind, one of {', '.join(KINDS)}; got "
            f"{' and '.join(kinds) or 'none'}."
        )
    kind = kinds[0]
    ends = given[kind]
    if not isinstance(ends, (list, tuple, np.ndarray)) or len(ends) != 2:
        raise LoptError(f"{key}: {kind} needs [low, high], got {ends!r}.")
    whole, log = kind.endswith("int"), kind.startswith("log")
    low, high = (_parse_end(f"{key}: an end of {kind}", end, whole) for end in ends)
    if low >= high:
        raise LoptError(
            f"{key}: {kind} needs [low, high] with low below high, got {list(ends)}."
        )
    if log and low <= 0:
        raise LoptError(
            f"{key}: {kind} needs ends above 0, got {list(ends)}. A range that "
            f"reaches 0 is {'int' if whole else 'linear'}."
        )
    points = given.get("points")
    if points is not None:
        check_at_least(f"{key}: points", points, 2)
    parsed = Range(low, high, log=log, whole=whole, points=points)
    if points is not None and len(set(parsed.spaced(points))) < points:
        raise LoptError(
            f"{key}: {points} points of {kind} {list(ends)} are not all different: "
            "take fewer, or list the values."
        )
    return parsed


def _parse_end(what: str, end: Any, whole: bool) -> float:
    end = as_value(what, end)
    if isinstance(end, bool) or not isinstance(end, (int, float)):
        raise LoptError(f"{what} must be a number, got {end!r}.")
    if not whole:
        return float(end)
    if end != int(end):
        raise LoptError(f"{what} must be a whole number, got {end!r}.")
    return int(end)


def grid(space: Space) -> list[Config]:
    """Return every combination of values, the last hyper-parameter varying fastest.

    Raises:
      LoptError: if a range has no `points`.
    """
    columns = []
    for key, values in space.items():
        if isinstance(values, Range):
            if values.points is None:
                raise LoptError(
                    f"{key}: a grid takes points of a range, and this range does not "
                    "say how many. Add points, e.g. {'log': [0.001, 0.1], 'points': "
                    "3}, or search at random."
                )
            columns.append(values.spaced(values.points))
        else:
            columns.append(values)
    return [dict(zip(space, row, strict=True)) for row in itertools.product(*columns)]


def random(space: Space, num_configs: int, seed: int) -> list[Config]:
    """Return configurations drawn independently, each hyper-parameter by itself.

    A configuration that was drawn before is drawn again.

    Args:
      space: what to draw from.
      num_configs: how many, all different.
      seed: decides the draws.

    Raises:
      LoptError: if a number is wrong, or the space has fewer configurations.
    """
    check_at_least("search_seed", seed, 0)
    rng = np.random.default_rng(seed)

    def rows() -> Iterator[np.ndarray]:
        while True:
            yield rng.random(len(space))

    return _distinct(space, num_configs, rows())


def quasi_random(space: Space, num_configs: int, seed: int) -> list[Config]:
    """Return configurations of a scrambled Halton sequence.

    They cover the space more evenly than independent draws (Bousquet et al.
    2017, arXiv:1706.03200). A configuration that came before is skipped.

    `seed` decides the scrambling (Owen 2017, arXiv:1706.02808); arguments and
    errors are those of `random`.
    """
    check_at_least("search_seed", seed, 0)

    def rows() -> Iterator[np.ndarray]:
        sequence = qmc.Halton(len(space), rng=np.random.default_rng(seed))
        while True:
            yield from sequence.random(256)

    return _distinct(space, num_configs, rows())


def _distinct(space: Space, num_configs: int, rows: Iterator[np.ndarray]) -> list:
    check_at_least("num_configs", num_configs, 1)
    if not space:
        raise LoptError("there is nothing to draw: the space has no hyper-parameter.")
    sizes = [v.num_values if isinstance(v, Range) else len(v) for v in space.values()]
    if num_configs > math.prod(sizes):
        raise LoptError(
            f"num_configs is {num_configs}, but the space has only "
            f"{math.prod(sizes):.0f} different configurations."
        )
    drawn: dict[tuple[Value, ...], Config] = {}
    repeats = 0
    while len(drawn) < num_configs:
        shares = next(rows)
        config = {
            k: _value_at(space[k], float(s)) for k, s in zip(space, shares, strict=True)
        }
        is_new = tuple(config.values()) not in drawn
        drawn.setdefault(tuple(config.values()), config)
        repeats = 0 if is_new else repeats + 1
        if repeats == _PATIENCE:
            raise LoptError(
                f"only {len(drawn)} of {num_configs} configurations could be drawn: "
                f"the space seems to have no more at {_DIGITS} significant digits. "
                "Ask for fewer or widen it."
            )
    return list(drawn.values())


def _value_at(values: Values, share: float) -> Value:
    if isinstance(values, Range):
        return values.value_at(share)
    return values[int(share * len(values))]
