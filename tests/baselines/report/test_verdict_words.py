"""The verdict's sentences: what decides is in them, and nothing that is not known."""

import re

import numpy as np
import pytest

from learned_optimization.baselines.report import rows, words
from learned_optimization.baselines.report.build import analyse, files_of_report
from tests.baselines.archives import write_archive, write_three

NAN = np.nan


def said_of(tasks, sets, **more):
    return words.headline(*analyse(tasks, sets, **more))


def write(task, seeds=None, **sets):
    for name, losses in sets.items():
        own = np.atleast_2d(losses)
        ids = range(own.shape[1]) if seeds is None else seeds[name]
        write_archive(task, name, own, seeds=ids)


def drawn(seed, *means, num=5, sd=0.001):
    rng = np.random.default_rng(seed)
    return [mean + sd * rng.standard_normal(num) for mean in means]


def test_two_tasks():
    names = write_three("T", noise=0.01)
    write_three("U", noise=0.01)
    said = said_of(["T", "U"], names)
    assert said[0].startswith("Over 2 tasks SGDMLR_1000_R5 comes first: it has 1.1")
    assert said[1] == (
        "No other set may be the best: each of the 2 others is worse than another "
        "beyond chance."
    )
    assert "On T SGDMLR_1000_R5 comes first: final test loss 0.3" in " ".join(said)
    assert "with fewer than 5 nothing can be said about others" in " ".join(said)


def test_one_set():
    write_three("T")
    said = said_of(["T"], ["AdamLR_1000_R5"])
    assert said[1:] == ["There is no other set to compare it with."]


def test_equals_are_named_and_what_would_tell():
    rng = np.random.default_rng(1)
    a = rng.normal(0.5, 0.05, size=12)
    noise = rng.standard_normal((2, 12))
    write("T", A=a, B=a + 0.002 * noise[0], C=a + 0.02 + 0.05 * noise[1], D=a + 0.5)
    said = " ".join(said_of(["T"], list("ABCD"), reference="A"))
    assert re.search(
        r"The best may also be (.*); D is out, as another is better, with", said
    )
    assert re.search(
        r"(A and B|B and A) are equivalent within 1% of the improvement of A\.", said
    )
    assert re.search(
        r"Undecided against [AB]: C \(about [\d,]+ more seeds would (tell them apart|"
        r"show them equivalent)\)\.",
        said,
    )


def test_the_tolerance_is_the_askers():
    a, b = drawn(2, 0.5, 0.5, num=20, sd=0.004)
    write("T", A=a, B=b)
    assert "are equivalent within 1% of" in " ".join(said_of(["T"], ["A", "B"]))
    none = " ".join(said_of(["T"], ["A", "B"], tolerance=0.0))
    assert "equivalent within" not in none
    wide = said_of(["T"], ["A", "B"], tolerance=0.25)
    assert "are equivalent within 25% of the improvement of A." in " ".join(wide)
    files = files_of_report(*analyse(["T"], ["A", "B"], tolerance=0.25))
    assert "lopt report T A B --reference A --tolerance 0.25" in files["index.html"]


@pytest.mark.parametrize("end", [2.0, NAN])
def test_a_set_that_fails_on_a_task_is_never_first_without_that(end):
    # Far better on three tasks, untrained on the fourth: first by any mean.
    for task in range(4):
        a, b = drawn(task, 1.5, 0.2)
        write(f"T{task}", A=a, B=b if task < 3 else np.full(5, end))
    found = analyse([f"T{i}" for i in range(4)], ["A", "B"], reference="A")
    said = words.headline(*found)
    assert said[0].startswith("Over 4 tasks B comes first, but fails on T3 (score 0.00")
    assert said[1] == (
        "Yet it is worse than another set on T3 (loss 2.0000 against "
        f"{found[1].tasks[3].standings[0].loss.estimate:.4f} of A)."
    )
    assert rows.overall_rows(found[1])[0]["failures"] == "T3"
    assert '<abbr title="less than half' in files_of_report(*found)["index.html"]
    # One that is not first is named too.
    for task in range(3):
        write(f"T{task}", B=drawn(task, 1.48)[0])
    said = said_of([f"T{i}" for i in range(4)], ["A", "B"], reference="A")
    assert said[0].startswith("Over 4 tasks A comes first: ")
    assert (
        "Less than half of that improvement, which no mean should hide: B on T3 "
        "(score 0.00)."
    ) in said


def test_twice_the_loss_on_a_task_of_a_large_improvement_is_named():
    for task in range(3):
        a, b = drawn(task, 0.5, 0.48)
        write(f"T{task}", A=a, B=b)
    for name, losses in zip("AB", drawn(4, 0.5, 1.0), strict=True):
        write_archive("T3", name, [losses], seeds=range(5), start=100.0)
    said = said_of([f"T{i}" for i in range(4)], ["A", "B"], reference="A")
    assert said[0].startswith("Over 4 tasks B comes first: it has 1.0")
    assert re.match(
        r"Yet it is worse than another set on T3 \(loss (0.99|1.00)\d\d against "
        r"(0.49|0.50)\d\d of A\)\.",
        said[1],
    )


@pytest.mark.parametrize("num_seeds", [1, 2, 3])
def test_nothing_is_claimed_of_few_seeds(num_seeds):
    write("T", A=drawn(1, 0.5, num=num_seeds)[0], B=drawn(2, 1.5, num=num_seeds)[0])
    said = said_of(["T"], ["A", "B"])
    assert said[0].startswith("On T A comes first: final test loss 0.")
    assert "[" not in said[0]
    assert said[1] == (
        "Nothing is claimed: of fewer than 4 seeds nobody can say which set is the "
        "best, with no tuning at all (1 configuration each)."
    )
    assert len(said) == 2
    [pair] = rows.pair_rows(analyse(["T"], ["A", "B"])[1])
    assert np.isnan([pair["p_value"], pair["more_seeds"]]).all()
    assert not re.search(r"\d%", " ".join(said))


def test_unequal_tuning_and_lengths_are_in_the_verdict():
    a, b, c = drawn(3, 0.5, 0.6, 0.7, num=6)
    many = np.concatenate([a[None], a[None] + 0.1 + 0.01 * np.arange(199)[:, None]])
    write("T", A=many, B=b)
    write_archive("T", "C", [c], seeds=range(6), num_evals=51)
    said = said_of(["T"], ["A", "B", "C"])
    assert said[1] == (
        "No other set may be the best: each of the 2 others is worse than another "
        "beyond chance, with unequal tuning (A 200 configurations; B and C 1 "
        "configuration, so untuned) and unequal lengths (A and B 1,000 steps; C 500 "
        "steps)."
    )


def test_divergence_is_compared_by_itself():
    a, b = drawn(5, 0.5, 0.6, num=12)
    b[:7] = NAN
    write("T", A=a, B=b)
    said = " ".join(said_of(["T"], ["A", "B"]))
    # Fisher's exact test: 2 * C(12, 7) / C(24, 7).
    assert (
        "B diverges more often than A: 58% of its seeds against 0% (p 0.00458)." in said
    )
    # 1 - 0.05 ** (1 / 12)
    assert "A diverged in none of 12 seeds, so at most 22% of its trials do" in said
    write("U", A=drawn(5, 0.6, num=12)[0], B=np.where(np.arange(12) < 7, NAN, 0.1))
    said = " ".join(said_of(["U"], ["A", "B"]))
    assert "B diverges more often than A: 58% of its seeds against 0%" in said


def test_the_claim_and_the_luck_are_said():
    names = "ABCDEF"
    ends = drawn(6, *([0.5] * 6), num=10, sd=0.01)
    write("T", **dict(zip(names, ends, strict=True)))
    results, verdict = analyse(["T"], list(names))
    said = " ".join(words.headline(results, verdict))
    assert (
        "A set that is truly the best is out with a probability of at most 5%" in said
    )
    assert "(here 6)" in said
    assert re.search(r"\d+ of 15 pairs are told apart at 5% each, \d+ at 5% for", said)
    comparison = verdict.tasks[0].comparison
    assert comparison is not None
    luck = comparison.look.luck
    assert luck is not None
    assert luck.luck > 0
    assert f"a loss from {luck.loss.low:.4f} to {luck.loss.high:.4f}" in said
    assert f"in choosing the first have {luck.honest:.4f}." in said


def test_of_a_pair_by_itself_more_can_be_said_than_among_all():
    rng = np.random.default_rng(16)
    base = 0.5 + 0.05 * rng.standard_normal(8)
    noise = 0.01 * rng.standard_normal((6, 8))
    sets = {f"S{i}": base + noise[i] + 0.009 * (i > 0) for i in range(6)}
    write("T", **sets)
    results, verdict = analyse(["T"], list(sets))
    said = " ".join(words.headline(results, verdict))
    first = verdict.tasks[0].standings[0].set_name
    match = re.search(rf"As a pair of its own, {first} is better than ([^;]*);", said)
    comparison = verdict.tasks[0].comparison
    assert comparison is not None
    want = [
        name
        for name in verdict.tasks[0].not_told_apart
        if comparison.pair(first, name).better is not None
    ]
    assert want
    assert match is not None
    assert all(name in match[1] for name in want)


def test_seeds_are_advised_alike_in_the_table_and_the_sentence():
    # By Student's t, 6.3, no more seeds are needed; by Hall's, 2.3, some.
    d = np.array([0.0, 1.6, 2.1, 0.2, 1.7, 2.1, 1.4, 1.9])
    write("T", A=np.full(8, 0.5), B=0.5 + 0.01 * d)
    _, verdict = analyse(["T"], ["A", "B"])
    [pair] = rows.pair_rows(verdict)
    assert pair["outcome"] == "undecided"
    assert pair["more_seeds"] == 1
    assert "about 1 more seed would tell them apart" in pair["sentence"]


def write_easy_seeds(task):
    """A has 6 seeds, easy ones for both sets, and is worse on each of them."""
    seeds = np.arange(20)
    b = np.where(seeds < 6, 0.4, 0.6) + 0.001 * np.cos(seeds)
    a = b[:6] + 0.01 + 0.001 * np.sin(seeds[:6])
    write(task, seeds={"A": range(6), "B": seeds}, A=a, B=b)
    # The first seed only chooses.
    return a[1:].mean(), b[1:].mean()


def test_a_set_that_is_out_does_not_come_first():
    of_a, of_b = write_easy_seeds("T")
    results, verdict = analyse(["T"], ["A", "B"])
    said = words.headline(results, verdict)
    assert said[0].startswith(f"On T B comes first: final test loss {of_b:.4f} [")
    assert "] over its own 20 seeds. Together they choose" in said[0]
    assert said[1].startswith("No other set may be the best: A is worse beyond chance")
    assert said[2] == (
        f"A ({of_a:.4f}, over its own 6 seeds) has a lower loss than B ({of_b:.4f}, "
        "over its own 20 seeds), yet is worse than another on the seeds both have."
    )
    assert [r["set"] for r in rows.task_rows(results, verdict)] == ["B", "A"]


def test_a_set_that_is_out_does_not_come_first_over_tasks():
    of_a, of_b = write_easy_seeds("T")
    write_easy_seeds("U")
    results, verdict = analyse(["T", "U"], ["A", "B"], reference="B")
    said = words.headline(results, verdict)
    assert said[0].startswith("Over 2 tasks B comes first: it has 1.000 [")
    score = (2.0 - of_a) / (2.0 - of_b)
    assert said[2] == (
        f"A ({score:.4f}, over its own 6 seeds) has a higher score than B (1.0000, "
        "over its own 20 seeds), yet is worse than another on the seeds both have."
    )
    assert [r["set"] for r in rows.overall_rows(verdict)] == ["B", "A"]


def test_losses_over_other_seeds_are_called_so_where_the_first_is_worse():
    of_a, of_b = write_easy_seeds("T")
    # Far better elsewhere, so that A is first over both tasks.
    write("U", A=drawn(1, 0.1, num=20)[0], B=drawn(2, 1.5, num=20)[0])
    said = said_of(["T", "U"], ["A", "B"], reference="B")
    assert said[0].startswith("Over 2 tasks A comes first")
    assert said[1] == (
        f"Yet it is worse than another set on T (loss {of_a:.4f}, over its own 6 "
        f"seeds, against {of_b:.4f} of B, over its own 20 seeds)."
    )


def test_a_pair_in_which_the_first_is_worse_is_said():
    # A is better than B on the seeds they share, B than C on others, and C than A.
    noise = 0.001 * np.cos(np.arange(24).reshape(3, 8))
    ends = np.array([[0.498, 0.398], [0.5, 0.4], [0.4, 0.5]]).repeat(4, axis=1) + noise
    own = {"A": range(8), "B": range(4, 12), "C": [0, 1, 2, 3, 8, 9, 10, 11]}
    write("T", seeds=own, **dict(zip("ABC", ends, strict=True)))
    results, verdict = analyse(["T"], ["A", "B", "C"])
    comparison = verdict.tasks[0].comparison
    assert comparison is not None
    assert verdict.tasks[0].standings[0].set_name == "A"
    assert comparison.name(comparison.pair("A", "C").better or 0) == "C"
    said = " ".join(words.headline(results, verdict))
    assert (
        "As a pair of its own, C is better than A; among all 3 sets that is not sure."
    ) in said


def test_sets_that_share_few_seeds_are_said_to():
    own = {"S": range(5), "S_from3": range(3, 8)}
    write("T", seeds=own, **dict(zip(own, drawn(1, 0.5, 0.9), strict=True)))
    assert said_of(["T"], ["S", "S_from3"])[1] == (
        "Nothing is claimed: the sets share only 2 seeds, and of fewer than 4 seeds "
        "nobody can say which set is the best, with no tuning at all (1 configuration "
        "each)."
    )
    own = {"A": range(5), "B": range(3, 8), "C": [4, 20, 21, 22, 23]}
    write("U", seeds=own, **dict(zip(own, drawn(2, 0.5, 0.5, 0.5), strict=True)))
    assert said_of(["U"], ["A", "B", "C"])[1].startswith(
        "Nothing is claimed: no two sets share more than 2 seeds, and of fewer than 4 "
    )


def test_no_selection_bias_is_no_caveat():
    a, b = drawn(1, 0.5, 0.6)
    write("T", A=a, B=b)
    # Over both seeds the rates have 0.6; the one that a seed chooses has 0.7 on the
    # other seed.
    write("U", A=[[0.5, 0.7], [0.7, 0.5]], B=[[0.5, 0.7], [0.7, 0.5]])
    assert "To choose by and report on all" not in " ".join(
        words.caveats(*analyse(["T"], ["A", "B"]))
    )
    assert "would have shown losses from -0.1000 to -0.1000 away" in " ".join(
        words.caveats(*analyse(["U"], ["A", "B"]))
    )
