"""What one look at sets says, in sentences: who may be the best, what is claimed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from learned_optimization.baselines import stats
from learned_optimization.baselines.analysis.comparison import LEVEL, Comparison
from learned_optimization.baselines.analysis.losses import num_shared_seeds
from learned_optimization.baselines.analysis.set_results import SetResult
from learned_optimization.baselines.stats.looks import FIRST_LOOK
from learned_optimization.baselines.stats.race_words import count, listed

_ALPHA = 1 - LEVEL


def interval(estimated: stats.Interval, digits: int = 4) -> str:
    """Return an estimate with its interval, as `0.4829 [0.4780, 0.4878]`."""
    text = f"{estimated.estimate:.{digits}f}"
    if math.isfinite(estimated.low):
        text += f" [{estimated.low:.{digits}f}, {estimated.high:.{digits}f}]"
    return text


def luck_sentence(comparison: Comparison, is_score: bool, digits: int = 4) -> str:
    """Return how much of coming first is luck; empty where too few seeds say.

    Args:
      comparison: the look.
      is_score: whether its losses are 1 minus a score, rather than losses.
      digits: behind the point.
    """
    luck = comparison.look.luck
    if luck is None:
        return ""
    low, high, honest, what = luck.loss.low, luck.loss.high, luck.honest, "loss"
    if is_score:
        low, high, honest, what = 1 - high, 1 - low, 1 - honest, "score"
    return (
        f"To come first is luck in part: a {what} from {low:.{digits}f} to "
        f"{high:.{digits}f} holds for whichever set does ({LEVEL:.0%}), and seeds that "
        f"had no part in choosing the first have {honest:.{digits}f}."
    )


@dataclass(frozen=True, eq=False)
class Told:
    """One look, and what it takes to say it.

    Attributes:
      comparison: the look.
      first: the set that comes first.
      results: the results it is of, for each task one per set.
      within: what equivalent means, as `1% of the improvement of Adam`.
      is_score: whether losses are 1 minus a score, rather than losses.
    """

    comparison: Comparison
    first: str
    results: Sequence[Sequence[SetResult]]
    within: str
    is_score: bool

    def sentences(self) -> list[str]:
        """Return what it says, the verdict first."""
        comparison = self.comparison
        if not comparison.says_something:
            return [
                f"Nothing is claimed: {self._shared()}of fewer than {FIRST_LOOK} seeds "
                f"nobody can say which set is the best{self._unequal()}."
            ]
        return [
            self._verdict(),
            *self._lower_but_out(),
            *self._against_first(),
            *self._divergence(),
            *self._luck(),
            self._claim(),
        ]

    def _shared(self) -> str:
        """Return how many seeds sets share, if each has enough of its own."""
        standings = self.comparison.look.standings
        if min(n for s in standings for n in s.num_all_seeds) < FIRST_LOOK:
            return ""
        names = self.comparison.set_names
        rows = [[r for r in row if r.set_name in names] for row in self.results]
        most = min(
            max(num_shared_seeds(a, b) for a, b in itertools.combinations(row, 2))
            for row in rows
        )
        seeds = count(most, "seed")
        if len(names) == 2:
            return f"the sets share only {seeds}, and "
        return f"no two sets share more than {seeds}, and "

    def _others(self) -> list[str]:
        """Return all but the first, in order."""
        order = [self.comparison.name(a) for a in self.comparison.look.order]
        return [name for name in order if name != self.first]

    def _verdict(self) -> str:
        others = self._others()
        standing = {name: self.comparison.of(name) for name in others}
        left = [name for name in others if not standing[name].is_out]
        out = [name for name in others if standing[name].is_out]
        unequal = self._unequal()
        if not left:
            if len(out) == 1:
                why = f"{out[0]} is worse beyond chance"
            else:
                why = (
                    f"each of the {len(out)} others is worse than another beyond chance"
                )
            return f"No other set may be the best: {why}{unequal}."
        rest = f"; {listed(out)} {_are(out)} out, as another is better" if out else ""
        return f"The best may also be {listed(left, 'or')}{rest}{unequal}."

    def _lower_but_out(self) -> list[str]:
        """Return which sets that are out look better than the first, and why not."""
        first = self.comparison.of(self.first)
        standing = {name: self.comparison.of(name) for name in self._others()}
        lower = [
            f"{name} ({self._shown(s.loss.estimate)}{own_seeds(s.num_all_seeds)})"
            for name, s in standing.items()
            if s.is_out and s.loss.estimate < first.loss.estimate
        ]
        if not lower:
            return []
        better = "higher score" if self.is_score else "lower loss"
        of_first = f"{self._shown(first.loss.estimate)}{own_seeds(first.num_all_seeds)}"
        return [
            f"{listed(lower)} {_have(lower)} a {better} than {self.first} "
            f"({of_first}), yet {_are(lower)} worse than another on the seeds "
            "both have."
        ]

    def _shown(self, loss: float) -> str:
        return f"{1 - loss if self.is_score else loss:.4f}"

    def _against_first(self) -> list[str]:
        """Return what is said of the first with other sets, each pair by itself."""
        left = [n for n in self._others() if not self.comparison.of(n).is_out]
        pairs = {name: self.comparison.pair(self.first, name) for name in left}
        kinds = {
            kind: [name for name in left if pairs[name].outcome is kind]
            for kind in stats.PairOutcome
        }
        said = []
        if same := kinds[stats.PairOutcome.EQUIVALENT]:
            said.append(
                f"{listed(same)} and {self.first} are equivalent within {self.within}."
            )
        sets_of: dict[str, list[str]] = {}
        for name in kinds[stats.PairOutcome.UNDECIDED]:
            sets_of.setdefault(more_seeds(pairs[name]), []).append(name)
        if sets_of:
            each = [f"{listed(names)} ({why})" for why, names in sets_of.items()]
            said.append(f"Undecided against {self.first}: {'; '.join(each)}.")
        num_sets = len(self.comparison.set_names)
        not_sure = f"among all {num_sets} sets that is not sure"
        worse = [name for name in left if self._is_better(self.first, name)]
        if worse and num_sets > 2:
            said.append(
                f"As a pair of its own, {self.first} is better than {listed(worse)}; "
                f"{not_sure}."
            )
        better = [n for n in self._others() if self._is_better(n, self.first)]
        if better:
            said.append(
                f"As a pair of its own, {listed(better, 'or')} is better than "
                f"{self.first}; {not_sure}."
            )
        if few := kinds[stats.PairOutcome.TOO_FEW_SEEDS]:
            said.append(
                f"{listed(few)} and {self.first} share fewer than {FIRST_LOOK} seeds: "
                "nothing is claimed of them."
            )
        return said

    def _is_better(self, a: str, b: str) -> bool:
        """Return whether a is better than b, as a pair of its own."""
        better = self.comparison.pair(a, b).better
        return better is not None and self.comparison.name(better) == a

    def _divergence(self) -> list[str]:
        """Return whose seeds diverge more often, and how often the first's may."""
        said = []
        for name in self._others():
            pair = self.comparison.pair(self.first, name)
            flipped = self.comparison.name(pair.a) != self.first
            for row, found in zip(self.results, pair.divergence, strict=True):
                if found.p_value >= _ALPHA:
                    continue
                own, other = found.share_a, found.share_b
                own, other = (other, own) if flipped else (own, other)
                more, less = (name, self.first), (self.first, name)
                worse, better = more if other > own else less
                high, low = max(own, other), min(own, other)
                where = f"On {row[0].task_name} " if len(self.results) > 1 else ""
                said.append(
                    f"{where}{worse} diverges more often than {better}: {high:.0%} of "
                    f"its seeds against {low:.0%} (p {found.p_value:.3g})."
                )
        first = self.comparison.of(self.first)
        is_some_out = any(s.is_out for s in self.comparison.look.standings)
        if is_some_out and not any(first.num_diverged):
            fewest = min(first.num_all_seeds)
            bound = stats.divergence_bound(0, fewest, _ALPHA)
            said.append(
                f"{self.first} diverged in none of {count(fewest, 'seed')}, so at most "
                f"{bound:.0%} of its trials do ({LEVEL:.0%} sure)."
            )
        return said

    def _luck(self) -> list[str]:
        said = luck_sentence(self.comparison, self.is_score)
        return [said] if said else []

    def _claim(self) -> str:
        num_sets = len(self.comparison.set_names)
        claim = (
            "This is about the best configuration of each set's grid. A set that is "
            f"truly the best is out with a probability of at most {_ALPHA:.0%}, "
            f"however many sets there are (here {num_sets})"
        )
        pairs = self.comparison.look.pairs
        if num_sets < 3:
            return f"{claim}."
        alone = [p for p in pairs if p.outcome is stats.PairOutcome.BETTER]
        return (
            f"{claim}. Every two sets by themselves: {len(alone)} of "
            f"{count(len(pairs), 'pair')} are told apart at {_ALPHA:.0%} each, "
            f"{len(self.comparison.family_wise())} at {_ALPHA:.0%} for all together "
            "(family-wise, Holm)."
        )

    def _unequal(self) -> str:
        """Return what was not the same for all sets, as a part of the verdict."""
        parts = tuned_unequally(self.comparison.set_names, self.results)
        return f", with {listed(parts)}" if parts else ""


def tuned_unequally(
    set_names: Sequence[str], results: Sequence[Sequence[SetResult]]
) -> list[str]:
    """Return what was not the same for all of some sets, or that none was tuned.

    Args:
      set_names: the sets.
      results: for each task one result per set.

    Returns:
      Parts of a sentence; none where all were tuned alike.
    """
    parts = []
    rows = [[r for r in row if r.set_name in set_names] for row in results]
    configs = [{r.set_name: r.num_configs for r in row} for row in rows]
    if any(len(set(of.values())) > 1 for of in configs):
        parts.append(f"unequal tuning ({_groups(configs, 'configuration', True)})")
    elif all(set(of.values()) == {1} for of in configs):
        parts.append("no tuning at all (1 configuration each)")
    steps = [{r.set_name: r.num_steps for r in row} for row in rows]
    if any(len(set(of.values())) > 1 for of in steps):
        parts.append(f"unequal lengths ({_groups(steps, 'step', False)})")
    return parts


def own_seeds(num_seeds: Sequence[int]) -> str:
    """Return over how many seeds a figure is, as `, over its own 5 seeds`.

    Args:
      num_seeds: of each task.
    """
    same = len(set(num_seeds)) == 1
    return f", over its own {count(num_seeds[0], 'seed') if same else 'seeds'}"


def more_seeds(pair: stats.PairVerdict) -> str:
    """Return how many more seeds would decide between two sets, about."""
    if pair.more_seeds is None:
        return "ten times as many seeds would not decide"
    does = "tell them apart" if pair.would_tell else "show them equivalent"
    return f"about {count(pair.more_seeds, 'more seed')} would {does}"


def pair_sentence(comparison: Comparison, pair: stats.PairVerdict, within: str) -> str:
    """Return what is said of two sets.

    Args:
      comparison: the look.
      pair: two of its sets.
      within: what equivalent means.
    """
    a, b = comparison.name(pair.a), comparison.name(pair.b)
    worse = pair.a if pair.better == pair.b else pair.b
    sentence = pair.outcome.value.format(
        a=a,
        b=b,
        better=comparison.name(pair.better or 0),
        worse=comparison.name(worse),
        tolerance=within,
        seeds=count(pair.num_seeds, "seed"),
    )
    if pair.outcome is stats.PairOutcome.UNDECIDED:
        sentence += f": {more_seeds(pair)}"
    return sentence


def _are(items: Sequence[str]) -> str:
    return "is" if len(items) == 1 else "are"


def _have(items: Sequence[str]) -> str:
    return "has" if len(items) == 1 else "have"


def _groups(
    of_tasks: Sequence[Mapping[str, int]], noun: str, says_untuned: bool
) -> str:
    """Return which sets have which number, the largest first."""
    sets_of: dict[int, dict[str, None]] = {}
    for of_sets in of_tasks:
        for name, number in of_sets.items():
            sets_of.setdefault(number, {})[name] = None
    parts = []
    for number in sorted(sets_of, reverse=True):
        untuned = ", so untuned" if says_untuned and number == 1 else ""
        parts.append(f"{listed(list(sets_of[number]))} {count(number, noun)}{untuned}")
    return "; ".join(parts)
