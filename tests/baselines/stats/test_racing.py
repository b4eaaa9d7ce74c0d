"""Races, against answers of another implementation and by their properties."""

from dataclasses import replace

import numpy as np
import pytest

from learned_optimization.baselines.stats.chains import TaskLosses
from learned_optimization.baselines.stats.evidence import EProcess
from learned_optimization.baselines.stats.race_rows import more_seeds, race_rows
from learned_optimization.baselines.stats.race_words import lost_sentence, race_sentence
from learned_optimization.baselines.stats.racing import (
    Outcome,
    RaceResult,
    RaceRules,
    race,
)
from learned_optimization.errors import LoptError
from tests.baselines.stats.race_cases import drawn, golden

OUTCOMES = {
    "best": Outcome.BETTER,
    "equivalent": Outcome.EQUIVALENT,
    "undecided": Outcome.UNDECIDED,
}


def found(result: RaceResult) -> list[tuple]:
    """Return what each look found."""
    return [(k.dropped, k.out, k.left, k.leader, k.num_trials) for k in result.looks]


def cut(losses: TaskLosses, num_seeds: int) -> TaskLosses:
    """Return the losses of the first seeds."""
    valid, test = (
        [np.asarray(x)[:, :num_seeds] for x in split]
        for split in (losses.outer_valid, losses.test)
    )
    return replace(losses, outer_valid=valid, test=test)


def test_of_cases():
    for case in golden()["cases"]:
        args, expected = case["args"], case["expected"]
        losses = TaskLosses(
            [np.array(x, float) for x in case["outer_valid"]],
            [np.array(x, float) for x in case["test"]],
            ceiling=args.get("ceiling", np.inf),
        )
        rules = RaceRules(
            args["eps"], max_seeds=args["max_seeds"], until=args.get("until", "all")
        )
        result = race(losses, rules)
        assert result.outcome is OUTCOMES[expected["verdict"]], case["name"]
        assert list(result.left) == expected["left"]
        assert result.num_trials == expected["trials"]
        for look, want in zip(result.looks, expected["looks"], strict=True):
            got = {
                "seeds": look.look.num_seeds,
                "trials": look.num_trials,
                "rates_dropped": [list(x[1:]) for x in look.dropped],
                "sets_out": list(look.out),
                "left": list(look.left),
                "rates_left": {str(a): list(c[0]) for a, c in look.configs.items()},
                "leader": [look.leader, *look.chosen],
                "leader_within_eps_of_best": look.within,
                "equivalent": look.equivalent,
            }
            assert got == {key: want[key] for key in got}, case["name"]
            t_set = {str(a): t for a, t in look.evidence.items()}
            assert t_set == pytest.approx(
                {a: float(t) for a, t in want["t_set"].items()}, abs=1e-4
            )
            needed = want["t_needed_at_start"]
            assert list(look.needed.values()) == pytest.approx(
                [needed] * len(look.needed), abs=1e-4
            )
        for want in expected.get("more", []):
            more = more_seeds(result, want["better"], want["worse"])
            assert more.config == want["rate"]
            assert more.mean == pytest.approx(want["mean"], abs=1e-6)
            assert more.sd == pytest.approx(want["sd"], abs=1e-6)
            assert more.num_differences == want["n"]
            assert more.to_tell == want["total_to_tell"]
            assert more.to_call_equivalent == want["total_to_call_equivalent"]


@pytest.mark.parametrize("seed", range(5))
def test_going_on_finds_what_one_go_does(seed):
    losses = drawn(np.random.default_rng(seed), (0.0, 0.3, 0.9), 40)
    rules = RaceRules(0.004, max_seeds=32)
    at_once = race(losses, rules)
    for num_seeds in (4, 9, 16):
        first = race(cut(losses, num_seeds), rules)
        if first.wanted:
            assert first.outcome is Outcome.WAITING
            assert first.wanted.look.num_seeds > num_seeds
        assert found(first) == found(at_once)[: len(first.looks)]
    # After a last look between two, whose level is not spent twice.
    short = race(losses, replace(rules, max_seeds=10))
    longer = race(losses, replace(rules, earlier=(10,)))
    assert found(longer)[: len(short.looks)] == found(short)


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_sets_does_not_matter(seed):
    losses = drawn(np.random.default_rng(seed), (0.0, 0.5, 0.9, 0.2), 32)
    order = [2, 0, 3, 1]
    mixed = replace(
        losses,
        outer_valid=[losses.outer_valid[a] for a in order],
        test=[losses.test[a] for a in order],
    )
    rules = RaceRules(0.004, max_seeds=32)
    a, b = race(losses, rules), race(mixed, rules)
    assert {order[i] for i in b.left} == set(a.left)
    assert b.num_trials == a.num_trials
    assert [order[k.leader] for k in b.looks] == [k.leader for k in a.looks]


def test_a_race_asks_for_the_trials_it_needs_and_for_no_other():
    losses = drawn(np.random.default_rng(0), (0.0, 6.0), 16, curve=(0.0, 60.0, 70.0))
    ran = [np.ones((3, 16), bool) for _ in range(2)]
    rules = RaceRules(0.0, max_seeds=16)
    complete = race(losses, rules)
    assert [k.out for k in complete.looks] == [(), (0,)]
    dropped = {(a, b) for _, a, b in complete.looks[0].dropped}
    assert dropped == {(0, 1), (0, 2), (1, 1), (1, 2)}
    for a, b in dropped:
        # Dropped at the first look: not run later, and if it was, not looked at.
        ran[a][b, 4:] = False
        np.asarray(losses.test[a])[b, 4:] = -1e9
        np.asarray(losses.outer_valid[a])[b, 4:] = -1e9
    assert found(race(replace(losses, ran=ran), rules)) == found(complete)
    assert found(race(losses, rules)) == found(complete)
    ran[1][0, 6] = False
    waiting = race(replace(losses, ran=ran), rules)
    assert waiting.outcome is Outcome.WAITING
    assert waiting.wanted is not None
    assert waiting.wanted.missing == ((0, 1, 0, 6),)
    assert waiting.wanted.configs == ((0, 0, 0), (0, 1, 0))
    assert "waiting for 1 trial at 8 seeds" in race_sentence(waiting, "AB").lower()


def test_a_diverged_trial_counts_as_the_ceiling():
    losses = drawn(np.random.default_rng(1), (0.0, 4.0), 16, curve=(0.0, 5.0))
    np.asarray(losses.test[0])[0, 2] = np.nan
    as_ceiling = drawn(np.random.default_rng(1), (0.0, 4.0), 16, curve=(0.0, 5.0))
    np.asarray(as_ceiling.test[0])[0, 2] = 2.3
    rules = RaceRules(0.0, max_seeds=16)
    results = [race(x, rules) for x in (losses, as_ceiling)]
    assert found(results[0]) == found(results[1])
    # Missing is another thing: there the race waits.
    ran = [np.ones((2, 16), bool) for _ in range(2)]
    ran[0][0, 2] = False
    assert race(replace(losses, ran=ran), rules).outcome is Outcome.WAITING
    with pytest.raises(LoptError, match="give ceiling"):
        race(replace(losses, ceiling=np.inf), rules)


def test_a_configuration_that_always_diverges_goes_at_the_first_look():
    losses = drawn(np.random.default_rng(2), (0.0, 0.0), 4)
    np.asarray(losses.test[0])[3] = np.inf
    np.asarray(losses.outer_valid[0])[3] = np.inf
    result = race(losses, RaceRules(0.0, max_seeds=4))
    assert (0, 0, 3) in result.looks[0].dropped


def test_limits_end_a_race_undecided():
    losses = drawn(np.random.default_rng(3), (0.0, 0.1), 32)
    rules = RaceRules(0.0, max_seeds=32)
    limited = race(losses, replace(rules, max_trials=40))
    assert limited.outcome is Outcome.UNDECIDED
    assert limited.stopped_by_trials
    assert limited.num_trials == 4 * 8 <= 40
    assert race(losses, replace(rules, max_seeds=3)).looks == ()


def test_until_best_stops_sooner():
    losses = drawn(np.random.default_rng(4), (0.6, 0.0, 0.0), 128)
    all_pairs = race(losses, RaceRules(0.015))
    first = race(losses, RaceRules(0.015, until="best"))
    assert first.outcome is Outcome.WITHIN
    assert first.num_trials <= all_pairs.num_trials
    assert "A is within 0.015 of the best" in race_sentence(first, "ABC")


def test_rows_and_sentences():
    losses = drawn(np.random.default_rng(5), (5.0, 0.0, 4.8), 16)
    result = race(losses, RaceRules(0.0, max_seeds=16))
    rows = race_rows(result)
    assert [row.is_left for row in rows] == [True, False, True]
    assert rows[1].out_at == 8
    assert sum(n for _, n in rows[1].lost_to) == 7
    assert lost_sentence(rows[1], "ABC").startswith("worse than ")
    assert rows[1].lower > 0
    leader = rows[result.looks[-1].leader]
    assert leader.difference == 0.0
    chain = np.asarray(losses.test[leader.set_index])
    assert chain[:, 1:].min() <= leader.loss <= chain[:, 1:].max()
    sentence = race_sentence(result, ["Adam", "SGD", "Lion"])
    assert sentence.startswith("Undecided between Adam and Lion after 16 seeds; SGD is")
    assert "best configuration of each set" in sentence
    limited = race(losses, RaceRules(0.0, max_seeds=8, max_trials=1))
    with pytest.raises(LoptError, match="first look"):
        race_rows(limited)


def test_a_winner_is_told_with_how_often_it_may_diverge():
    losses = drawn(np.random.default_rng(6), (9.0, 0.0), 8)
    sentence = race_sentence(race(losses, RaceRules(0.0, max_seeds=8)), ["A", "B"])
    assert sentence.startswith("A is better than B (8 seeds, family-wise 5%")
    assert sentence.endswith(
        "in none of 8 seeds: at most 31% of its trials do (95% sure)."
    )


def test_evidence_that_holds_at_any_time():
    losses = drawn(np.random.default_rng(7), (1.5, 0.0), 64)
    result = race(losses, RaceRules(0.0, max_seeds=64, evidence=EProcess()))
    assert result.outcome is Outcome.BETTER
    assert result.left == (0,)
    # The threshold is the number of sets over alpha, whichever look it is.
    assert [k.needed[1] for k in result.looks] == pytest.approx(
        [np.log(40)] * len(result.looks)
    )
    with pytest.raises(LoptError, match="several tasks"):
        race([losses, losses], RaceRules(0.0, evidence=EProcess()))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"alpha": 1.0}, "alpha"),
        ({"tolerance": -1.0}, "tolerance"),
        ({"until": "x"}, "until"),
    ],
)
def test_rules_that_cannot_be_followed_are_refused(change, message):
    with pytest.raises(LoptError, match=message):
        replace(RaceRules(0.0), **change)


@pytest.mark.slow
def test_six_equal_sets_are_seldom_out():
    rng = np.random.default_rng(0)
    curve = (3.0, 0.43, 0.0, 1.4)
    outs = [
        len(race(drawn(rng, (0.0,) * 6, 64, curve), RaceRules(0.0, max_seeds=64)).left)
        < 6
        for _ in range(500)
    ]
    assert np.mean(outs) <= 0.07
