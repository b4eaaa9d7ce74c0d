"""The board: its groups, its figures by hand, and the page made of them."""

import numpy as np
import pytest

from learned_optimization.baselines.board import figures
from learned_optimization.baselines.board.groups import (
    CONSTANT,
    LEARNED,
    OTHERS,
    SCHEDULED,
    group,
    kind_of,
)
from learned_optimization.baselines.board.longer import longer
from learned_optimization.baselines.board.page import page
from learned_optimization.baselines.board.words import share_text
from learned_optimization.baselines.plots.saving import save
from learned_optimization.baselines.release.manifest import Manifest
from learned_optimization.baselines.report.verdict_words import luck_sentence
from learned_optimization.benchmarking.optimizer_cost import read_costs, write_costs
from learned_optimization.errors import DamagedFileError, LoptError
from tests.baselines.archives import FACTS, write_archive
from tests.baselines.costs import cost_of

TASKS = ("T", "U")
ADAM, FAST, WORSE = "AdamLR_1000_R5", "SGDMLR_1000_R5", "LambLR_1000_R5"
COSINE = "AdamCosineLR_1000_R5"
# Ends of the three rates; before training the loss is 2.
ENDS = {
    ADAM: [0.8, 0.5, 0.9],
    FAST: [0.9, 0.3, 0.6],
    WORSE: [1.9, 1.8, 2.6],
    COSINE: [0.8, 0.4, 0.9],
}


@pytest.fixture
def archives():
    rng = np.random.default_rng(0)
    for task in TASKS:
        for name, ends in ENDS.items():
            final = np.asarray(ends)[:, None] + 0.001 * rng.standard_normal((3, 5))
            opt = name.partition("LR")[0]
            write_archive(task, name, final, opt=opt, seeds=range(5), facts=FACTS)


@pytest.fixture
def groups(archives):
    return [
        group(CONSTANT, TASKS, [ADAM, FAST, WORSE], ADAM),
        group(SCHEDULED, TASKS, [COSINE], ADAM),
    ]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (ADAM, CONSTANT),
        ("MuonLR_1000_R5", CONSTANT),
        ("RMSPropMomLR_10000_R5", CONSTANT),
        (COSINE, SCHEDULED),
        ("AdamLinearLR_1000_R5", SCHEDULED),
        ("mine_LOpt_1000_R5", LEARNED),
        ("mine_LOptLR_1000_R5", LEARNED),
        ("DoGInit_1000_R5", OTHERS),
        ("ProdigyCoef_1000_R5", OTHERS),
        ("LBFGS_1000_R5", OTHERS),
        ("MineLR_1000_R5", CONSTANT),
    ],
)
def test_kinds(name, kind):
    assert kind_of(name) == kind


def test_lines_by_hand(groups):
    constant, scheduled = groups
    assert [line.set_name for line in constant.lines] == [FAST, ADAM, WORSE]
    assert [line.label for line in constant.lines] == ["SGDM", "Adam", "Lamb"]
    assert [line.keeps_up for line in constant.lines] == [True, False, False]
    assert [line.set_name for line in scheduled.lines] == [COSINE, ADAM]
    fast, adam, worse = constant.lines
    assert adam.overall.score.estimate == pytest.approx(1.0, abs=0.01)
    assert fast.overall.score.estimate == pytest.approx(1.7 / 1.5, abs=0.01)
    # What ends above 2 counts as not trained; one try is any of the three.
    for line, losses in ((fast, [0.9, 0.3, 0.6]), (worse, [1.9, 1.8, 2.0])):
        one, all_three = line.tries
        assert one == pytest.approx((2 - np.mean(losses)) / 1.5, abs=0.01)
        assert all_three == pytest.approx((2 - min(losses)) / 1.5, abs=0.01)
    assert worse.fails_on == TASKS
    assert fast.fails_on == ()
    assert fast.diverged == 0
    # The second rate is the best of both tasks; Lamb's is not at an edge either.
    assert [line.at_edge for line in constant.lines] == [0, 0, 0]
    assert fast.for_all.one == pytest.approx(1.7 / 1.5, abs=0.01)


def test_one_configuration_for_all_tasks(archives):
    # The first rate is the best on one task, the last on the other, where the second
    # is nearly as good: of both together it is the best.
    for task, ends in (("T", [0.2, 0.5, 1.9]), ("U", [1.9, 0.5, 0.4])):
        final = np.asarray(ends)[:, None] + 1e-4 * np.arange(5)
        write_archive(task, "LionLR_1000_R5", final, seeds=range(5), facts=FACTS)
    made = group(CONSTANT, TASKS, [ADAM, "LionLR_1000_R5"], ADAM)
    line = next(x for x in made.lines if x.label == "Lion")
    assert line.for_all.one == pytest.approx(1.5 / 1.5, abs=0.01)
    assert line.overall.score.estimate == pytest.approx(1.7 / 1.5, abs=0.01)
    assert line.at_edge == 2
    text = page([made], Manifest("r"), "laptop", "images/board")
    [row] = [x for x in text.splitlines() if x.startswith("| 1 | **Lion**")]
    assert [cell.strip() for cell in row.split("|")][9] == "2"
    # With more sets it is said who has the best, and who loses most.
    names = [ADAM, FAST, WORSE, "LionLR_1000_R5"]
    text = page([group(CONSTANT, TASKS, names, ADAM)], Manifest("r"), "laptop", "")
    [said] = [x for x in text.splitlines() if x.startswith("- **With one config")]
    assert ": SGDM scores 1.13" in said
    assert ", Adam 1.00" in said
    assert "and Lion 1.00" in said
    assert "Lion loses most by it: 1.00" in said
    assert " instead of 1.13" in said


def test_rare_divergence_is_not_none():
    assert [share_text(x) for x in (0.0, 0.001, 0.2)] == ["0%", "<1%", "20%"]


def test_equivalent_sets_are_named_together(archives):
    for task in TASKS:
        final = np.asarray(ENDS[FAST])[:, None] + 1e-4 * np.ones((3, 5))
        final += 1e-5 * np.random.default_rng(1).standard_normal((3, 5))
        write_archive(task, "LionLR_1000_R5", final, seeds=range(5), facts=FACTS)
    sets = [ADAM, FAST, "LionLR_1000_R5"]
    assert group(CONSTANT, TASKS, sets, ADAM).equivalent == (("SGDM", "Lion"),)


def test_lines_are_in_the_order_of_their_scores(archives):
    # Out by the race or not: a set with a wide interval stands where its score is.
    for task in TASKS:
        final = np.asarray([[0.55, 0.2, 0.9, 0.3, 0.8]])
        write_archive(task, "LionLR_1000_R5", final, seeds=range(5), facts=FACTS)
    sets = [ADAM, FAST, "LionLR_1000_R5", WORSE]
    made = group(CONSTANT, TASKS, sets, ADAM)
    labels = [line.label for line in made.lines]
    assert labels == ["SGDM", "Adam", "Lion", "Lamb"]
    assert [line.place for line in made.lines] == [1, 2, 3, 4]
    assert {line.label: line.keeps_up for line in made.lines} == {
        "SGDM": True,
        "Adam": False,
        "Lion": True,
        "Lamb": False,
    }
    text = page([made], Manifest("r"), "laptop", "images/board")
    out = [line.label for line in made.lines if line.overall.is_out]
    assert out == ["Adam", "Lamb"]
    assert "Adam and Lamb are out, with 5 seeds. Of the 6 pairs " in text
    comparison = made.verdict.over_tasks.comparison
    assert comparison is not None
    sure = len(comparison.family_wise())
    assert 3 <= sure <= 6
    assert f" {sure} are told apart at 5% for all together" in text
    assert luck_sentence(comparison, is_score=True, digits=3) in text
    assert "it is better than 2 of the others; Lion may be as good or better." in text


def test_a_set_that_is_not_everywhere_is_refused(archives):
    write_archive("T", "LionLR_1000_R5", np.full((3, 5), np.nan), start=np.nan)
    with pytest.raises(LoptError, match="LionLR_1000_R5"):
        group(CONSTANT, TASKS, [ADAM, "LionLR_1000_R5"], ADAM)


def test_costs_are_kept_in_a_file(archives, tmp_path):
    costs = [cost_of("T", FAST), cost_of("T", ADAM)]
    write_costs(tmp_path / "costs.json", costs)
    read = read_costs(tmp_path / "costs.json")
    assert {c.name: c for c in read} == {c.name: c for c in costs}
    made = group(CONSTANT, TASKS, [ADAM, FAST], ADAM, read)
    assert all(line.cost is not None for line in made.lines)
    (tmp_path / "costs.json").write_text('[{"name": 1}]')
    with pytest.raises(DamagedFileError, match="it holds no costs"):
        read_costs(tmp_path / "costs.json")


def test_the_page_and_its_figures(groups, tmp_path):
    manifest = Manifest("r", command="lopt release build T U --out r")
    text = page(groups, manifest, "laptop", "images/board")
    assert text.index("cannot say") < text.index("## At a constant learning rate")
    [row] = [line for line in text.splitlines() if line.startswith("| 1 | **SGDM**")]
    assert "| 1.13" in row
    assert text.count("[releases](releases.md)") == 1
    assert "half of the reference's improvement: Lamb on `T` and `U`." in text
    assert "lopt release build T U --out r" in text
    for name in (FAST, WORSE, COSINE):
        assert f"lopt sweep laptop {name} && " in text
    assert page(groups, manifest, "laptop", "images/board") == text
    for name, figure in {
        "ranking": figures.ranking(groups),
        "tasks": figures.on_tasks(groups),
        "curves": figures.curves(groups),
    }.items():
        save(figure, tmp_path / f"{name}.svg")
    save(figures.ranking(groups, 1), tmp_path / "thumbnail.svg")
    thumbnail = (tmp_path / "thumbnail.svg").read_text()
    for text in ("1  SGDM", "2  Adam", "constant learning rate, 2 of 3 (blue"):
        assert text in thumbnail
    assert "Lamb" not in thumbnail
    ranking = (tmp_path / "ranking.svg").read_text()
    for label in ("SGDM", "Adam", "Lamb", "AdamCosine"):
        assert label in ranking
    tasks = (tmp_path / "tasks.svg").read_text()
    assert tasks.count("1.13") == 2


def test_the_summary_names_the_first_of_a_groups_own(archives):
    # Beside searches of other things stands Adam, which is better.
    for task in TASKS:
        final = np.full((1, 5), 0.6) + 1e-3 * np.arange(5)
        write_archive(task, "LBFGS_1000_R5", final, seeds=range(5), facts=FACTS)
    made = [group(OTHERS, TASKS, ["LBFGS_1000_R5"], ADAM)]
    text = page(made, Manifest("r"), "laptop", "images/board")
    [line] = [x for x in text.splitlines() if x.startswith("- **Other searches")]
    assert "LBFGS has a score of 0.93" in line
    assert "; tuned Adam, with 1.00" in line
    assert line.endswith("], is better.")


def test_longer_runs_by_hand(archives, tmp_path):
    # In long runs Adam ends where the fast one did, and that one in between.
    long = {ADAM: 0.3, FAST: 0.4, WORSE: 1.8}
    names = {name: name.replace("_1000_", "_10000_") for name in long}
    rng = np.random.default_rng(0)
    for task in TASKS:
        for name, end in long.items():
            final = end + 0.001 * rng.standard_normal((3, 5))
            write_archive(task, names[name], final, seeds=range(5), facts=FACTS)
    made = longer(TASKS, list(names.items()), (ADAM, names[ADAM]))
    labels = [(short.label, long.label) for short, long in made.pairs]
    assert labels == [("Adam", "Adam"), ("SGDM", "SGDM"), ("Lamb", "Lamb")]
    assert [short.place for short, _ in made.pairs] == [2, 1, 3]
    # Of places 1, 2, 3 and 2, 1, 3: 1 - 6 * (1 + 1) / (3 * 8).
    assert made.rank_correlation == pytest.approx(0.5)
    scores = [line.overall.score.estimate for _, line in made.pairs]
    assert scores == pytest.approx([1.0, 1.6 / 1.7, 0.2 / 1.7], abs=0.01)
    groups = [group(CONSTANT, TASKS, [ADAM, FAST, WORSE], ADAM)]
    text = page(groups, Manifest("r"), "laptop", "images/board", made)
    assert "(on 2 tasks): Adam comes first of 3 sets. The rank correlation" in text
    assert "is 0.50; SGDM moves by the most places, from a score of 1.13" in text
    [row] = [line for line in text.splitlines() if line.startswith("| 2 | SGDM | 0.9")]
    assert row.endswith("| 1 |")
    save(figures.longer_runs(made), tmp_path / "longer.svg")
    assert "SGDM" in (tmp_path / "longer.svg").read_text()
    with pytest.raises(LoptError, match="optimizers in longer runs"):
        longer(TASKS, list(names.items())[:2], (ADAM, names[ADAM]))
    with pytest.raises(LoptError, match="not among the sets"):
        longer(TASKS, list(names.items()), (COSINE, names[ADAM]))
