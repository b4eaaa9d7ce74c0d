"""What tables, figures and exports choose is what the report chooses."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from learned_optimization.baselines import utils
from learned_optimization.baselines.analysis.best_of_set import (
    best_of_set,
    comparable_ends,
    load_final_losses,
)
from learned_optimization.baselines.analysis.set_results import (
    comparable,
    load_set_result,
)
from learned_optimization.baselines.exporting.runs import write_runs
from learned_optimization.baselines.plots.curves import plot_tasks_and_sets
from learned_optimization.baselines.plots.final_losses import (
    plot_sensitivity,
    plot_tuning,
)
from learned_optimization.baselines.plots.searches import plot_search
from learned_optimization.cli.best_table import print_best_of_sets
from tests.baselines.archives import SPLITS, gin_text, write_archive

LAST = [[0.5, 0.7], [0.4, 0.6], [0.9, 1.1]]
WHOLE = [[0.1, 0.3], [0.8, 1.0], [1.2, 1.4]]
"""Of another best configuration: the first, with a mean of 0.2, not the second."""


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(autouse=True)
def sets():
    """`Whole` and `Also` have losses over whole splits, `Old` has none."""
    for name in ("Whole", "Also"):
        facts = {f"final/{split}/loss": np.asarray(WHOLE) for split in SPLITS}
        write_archive("T", name, LAST, opt=name, facts=facts)
    write_archive("T", "Old", LAST, opt="Old")


CASES = pytest.mark.parametrize(
    ("others", "index", "mean"), [(("Also",), 0, 0.2), (("Old",), 1, 0.5)]
)


@CASES
def test_final_losses_are_those_of_the_report(others, index, mean):
    names = ["Whole", *others]
    ends = comparable_ends({name: load_final_losses("T", name) for name in names})
    row = comparable([load_set_result("T", name) for name in names])
    for result, (name, of_set) in zip(row, ends.items(), strict=True):
        best = best_of_set(of_set)
        assert (name, best.index) == (result.set_name, result.best.index)
        assert best.index == index
        assert best.final["test"].mean() == pytest.approx(mean)
        assert of_set.is_of_whole == result.is_of_whole == (index == 0)
        np.testing.assert_allclose(of_set.losses["test"], result.final)


def test_what_is_remembered_of_an_archive_is_made_again_when_it_changes():
    assert load_final_losses("T", "Old").losses["test"][0, 0] == 0.5
    facts = {f"final/{split}/loss": np.asarray(WHOLE) for split in SPLITS}
    facts["final/test/loss"] = np.full((3, 2), np.nan)
    write_archive("T", "Old", LAST, facts=facts)
    for _ in range(2):
        ends = load_final_losses("T", "Old")
        assert ends.is_of_whole
        np.testing.assert_array_equal(ends.losses["outer_valid"], WHOLE)
        assert np.isnan(ends.losses["test"]).all()
        np.testing.assert_array_equal(ends.of_last_evaluation().losses["test"], LAST)


@CASES
def test_the_table_and_the_curves(others, index, mean, capsys):
    names = ["Whole", *others]
    print_best_of_sets("T", names)
    said = capsys.readouterr().out
    rate = ("0.01", "0.1")[index]
    assert f"Whole_lr{rate} " in said
    assert said.count(f"{mean:.4f} ± 0.1414") == 2 * len(SPLITS)
    whole = "whole splits" if index == 0 else "some batches, at the last evaluation"
    assert f"over seeds of the loss over {whole}" in said
    ax = plot_tasks_and_sets("T", names, ema=0.0)
    line = next(x for x in ax.get_lines() if str(x.get_label()).startswith("Whole"))
    assert line.get_label() == f"Whole: Whole_lr{rate}"
    # A curve is of evaluations, whatever chose it: 0.6 of the first, 0.5 of the second.
    end = np.asarray(line.get_ydata())[-1]
    assert end == pytest.approx((0.6, 0.5)[index])


@CASES
def test_figures_of_final_losses(others, index, mean):
    names = ["Whole", *others]
    ax = plot_sensitivity("T", names)
    stars = [x for x in ax.get_lines() if x.get_marker() == "*"]
    assert len(stars) == 2
    for star in stars:
        [at] = np.asarray(star.get_xydata())
        assert at == pytest.approx([(0.01, 0.1)[index], mean])
    # In all of the configurations is the best: what is left above it is nothing.
    ax = plot_tuning("T", names)
    assert f"above the best, {mean:.4g}" in ax.get_ylabel()


def test_a_search_alone_is_drawn_over_whole_splits():
    rows = [{"learning_rate": 0.1, "decay": d} for d in (0.1, 0.2)]
    rows.append({"learning_rate": 0.2, "decay": 0.1})
    arrays = dict(utils.load_archive("T", "Whole"))
    texts = np.asarray([gin_text("Opt", **row) for row in rows])[:, None]
    arrays["gin_operative_config"] = np.broadcast_to(texts, (3, 2))
    utils.write_archive("T", "Search", arrays)
    ax = plot_search("T", "Search", hparams=("learning_rate", "decay"))
    [star] = [x for x in ax.get_lines() if x.get_marker() == "*"]
    assert np.asarray(star.get_xydata()).tolist() == [[0.1, 0.1]]


@CASES
def test_exports_of_the_best(others, index, mean):
    names = ["Whole", *others]
    chosen = {}

    def take(runs):
        for run in runs:
            chosen.setdefault(run.set_name, set()).add(run.opt_name)

    write_runs("T", names, take)
    of_index = {n: str(utils.load_archive("T", n)["opt_name"][index, 0]) for n in names}
    assert chosen == {name: {of_index[name]} for name in names}
