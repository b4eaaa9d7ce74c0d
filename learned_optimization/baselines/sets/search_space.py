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
from typing import Any

import numpy as np

from learned_optimization.baselines.sets.limits import MAX_CONFIGS
from learned_optimization.baselines.sets.ranges import SIGNIFICANT_DIGITS, Range
from learned_optimization.errors import LoptError, UnknownNameError, check_at_least
from learned_optimization.text import brief

Value = bool | int | float | str | None
Config = dict[str, Value]

KINDS = ("log", "linear", "log_int", "int")

# Whole numbers that every part of a trial can hold.
_MAX_WHOLE = (1 << 63) - 1

# After so many draws without a new configuration, there are taken to be no more.
_PATIENCE = 10_000


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
            f"{{'learning_rate': [0.001, 0.01]}}, got {brief(space)}."
        )
    parsed: Space = {}
    for key, values in space.items():
        if not isinstance(key, str):
            raise LoptError(f"a hyper-parameter's name must be text, got {brief(key)}.")
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
            f"{what} must be a number, text, True, False or None, got {brief(value)}."
        )
    if isinstance(value, int) and not -_MAX_WHOLE <= value <= _MAX_WHOLE:
        raise LoptError(
            f"{what} must be within {_MAX_WHOLE:,} of zero, got {brief(value)}."
        )
    return value


def _parse_choices(key: str, values: Any) -> tuple[Value, ...]:
    if isinstance(values, np.ndarray) and values.size <= MAX_CONFIGS:
        values = values.tolist()
    is_long = isinstance(values, np.ndarray)
    if (not is_long and not isinstance(values, Sequence)) or isinstance(
        values, (str, bytes)
    ):
        raise LoptError(
            f"{key} must have a list of values or a range such as "
            f"{{'log': [0.0001, 0.1]}}, got {brief(values)}. A single value is given "
            "as fixed."
        )
    if not len(values):
        raise LoptError(f"{key} has an empty list of values: give at least one.")
    check_at_least(f"{key}: the number of values", len(values), 1, MAX_CONFIGS)
    choices = tuple(as_value(f"a value of {key}", v) for v in values)
    seen = set()
    for value in choices:
        if value in seen:
            raise LoptError(f"{key} lists the value {value!r} twice: leave one out.")
        seen.add(value)
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
        raise LoptError(f"{key}: {kind} needs [low, high], got {brief(ends)}.")
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
    if not math.isfinite(float(high) - float(low)):
        raise LoptError(f"{key}: {kind} {list(ends)} is wider than any number.")
    points = given.get("points")
    if points is not None:
        check_at_least(f"{key}: points", points, 2, MAX_CONFIGS)
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
      LoptError: if a range has no `points`, or there are too many combinations.
    """
    columns: list[Sequence[Value]] = []
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
    count = math.prod(map(len, columns))
    if count > MAX_CONFIGS:
        sizes = ", ".join(
            f"{k} {len(c):,}" for k, c in zip(space, columns, strict=True)
        )
        raise LoptError(
            f"a grid of {count:,} configurations ({sizes}): a set may have "
            f"{MAX_CONFIGS:,}. Take fewer points, or search at random."
        )
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
    check_at_least("search_seed", seed, 0, _MAX_WHOLE)
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
    check_at_least("search_seed", seed, 0, _MAX_WHOLE)

    # Takes half a second to import, and few sets are of such a sequence.
    from scipy.stats import qmc

    def rows() -> Iterator[np.ndarray]:
        sequence = qmc.Halton(len(space), rng=np.random.default_rng(seed))
        while True:
            yield from sequence.random(256)

    return _distinct(space, num_configs, rows())


def _distinct(space: Space, num_configs: int, rows: Iterator[np.ndarray]) -> list:
    check_at_least("num_configs", num_configs, 1, MAX_CONFIGS)
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
    # The last of so many values comes once in as many draws.
    patience = max(_PATIENCE, 20 * num_configs)
    while len(drawn) < num_configs:
        shares = next(rows)
        config = {
            k: _value_at(space[k], float(s)) for k, s in zip(space, shares, strict=True)
        }
        is_new = tuple(config.values()) not in drawn
        drawn.setdefault(tuple(config.values()), config)
        repeats = 0 if is_new else repeats + 1
        if repeats == patience:
            raise LoptError(
                f"only {len(drawn)} of {num_configs} configurations could be drawn: "
                f"the space seems to have no more at {SIGNIFICANT_DIGITS} significant "
                "digits. Ask for fewer or widen it."
            )
    return list(drawn.values())


def _value_at(values: Values, share: float) -> Value:
    if isinstance(values, Range):
        return values.value_at(share)
    return values[int(share * len(values))]
