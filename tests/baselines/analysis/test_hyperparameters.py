"""Hyper-parameters of configurations: from what archives record, and what they tell.

Recorded settings are written by the optimizers themselves; the lines and edges of
grids are worked out by hand.
"""

import itertools

import gin
import matplotlib.pyplot as plt
import numpy as np
import pytest

from learned_optimization import configuration
from learned_optimization.baselines import utils
from learned_optimization.baselines.analysis.best_of_set import (
    best_of_set,
    load_curves,
    load_final_losses,
)
from learned_optimization.baselines.analysis.hyperparameters import (
    Hyperparameters,
    defined,
    hyperparameters,
    of_arrays,
    recorded,
)
from learned_optimization.baselines.analysis.recorded_settings import (
    read_gin,
    read_setting,
)
from learned_optimization.baselines.analysis.set_results import load_set_result
from learned_optimization.baselines.hparam_sets import (
    PACKAGED_SET_NAMES,
    get_hparam_set,
)
from learned_optimization.baselines.plots.figures import plot_sensitivity
from learned_optimization.baselines.report.build import analyse
from learned_optimization.baselines.report.words import caveats
from learned_optimization.baselines.sets.hparam_set import HParamSet, gin_key
from learned_optimization.baselines.sets.registry import SETS, add_hparam_set
from learned_optimization.baselines.sets.search_space import parse_space, random
from learned_optimization.baselines.sets.settings import make_optimizer
from learned_optimization.optimizers.grafting import GraftedOptimizer
from learned_optimization.optimizers.optax_opts import SGD, Adam
from tests.baselines.archives import gin_text, write_archive


def kinds() -> list[str]:
    """One packaged set for each kind of setting."""
    return list(
        {
            (s.optimizer, *s.hparams[0]): s.name
            for s in map(get_hparam_set, PACKAGED_SET_NAMES)
        }.values()
    )


@pytest.mark.parametrize("name", kinds())
def test_what_a_packaged_set_gives_is_read_from_what_its_trials_record(name):
    hparam_set = get_hparam_set(name)
    given = defined(name, hparam_set.opt_names)
    assert given is not None
    for index in {0, hparam_set.num_configs - 1}:
        setting, row = hparam_set.hparams[index], given.rows[index]
        opt = make_optimizer(hparam_set.optimizer, setting)
        read = read_setting(opt.name)
        assert read is not None
        assert {k: (read[k], type(read[k])) for k in row} == {
            k: (v, type(v)) for k, v in row.items()
        }
        keys = {gin_key(hparam_set.optimizer, k): v for k, v in setting.items()}
        keys["inner_train_task.opt"] = f"@{hparam_set.optimizer}()"
        with configuration.bound(keys):
            gin.get_configurable(hparam_set.optimizer)()
            text = gin.operative_config_str()
        # Only a trial that runs makes it part of the configuration used.
        read = read_gin(f"{text}\ninner_train_task.opt = @{hparam_set.optimizer}()")
        assert read is not None
        assert {k: read[k] for k in row} == row


def test_every_field_is_read():
    assert read_setting(Adam(0.1, beta1=0.95).name) == {
        "learning_rate": 0.1,
        "beta1": 0.95,
        "beta2": 0.999,
        "epsilon": 1e-8,
        "epsilon_root": 1e-8,
    }
    grafted = GraftedOptimizer(SGD(0.5), Adam(0.25))
    inside = read_setting(grafted.name)
    assert inside is not None
    assert inside["SGD.learning_rate"] == 0.5
    assert inside["Adam.learning_rate"] == 0.25


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Adam",
        "Adam_lr0.1",
        "Adam_lr0.1_b10.9",
        "Adam_lrx_b10.9_b20.999_eps1e-08_epsroot1e-08",
        "Unknown_lr0.1",
        "inner_train_task_lr0.1",
        "My Adam of 2020",
    ],
)
def test_what_is_no_whole_setting_is_not_guessed(text):
    assert read_setting(text) is None


def test_two_of_one_class_are_told_apart_by_gin_alone():
    assert read_setting(GraftedOptimizer(SGD(0.5), SGD(0.25)).name) is None
    text = """
inner_train_task.opt = @modules.GraftedOptimizer()
GraftedOptimizer.magnitude_opt = @a/optax_opts.SGD()
GraftedOptimizer.direction_opt = @b/SGD()
a/SGD.learning_rate = 0.5
b/SGD.learning_rate = %rate
rate = 0.25
Other.learning_rate = 3.0
"""
    assert read_gin(text) == {"a/SGD.learning_rate": 0.5, "b/SGD.learning_rate": 0.25}


@pytest.mark.parametrize(
    "text", ["", "Adam.learning_rate = 0.1", "x = = 3", "inner_train_task.opt = 'Adam'"]
)
def test_gin_text_that_names_no_optimizer(text):
    assert read_gin(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "SGD.learning_rate = " + "(" * 5000,
        "SGD.learning_rate = " + "9" * 10_000,
        "SGD.learning_rate = '\x00'",
        "# " + "x" * 1_000_000,
        "A.opt = @A()\ninner_train_task.opt = @A()",
        "A.opt = %b\nb = @A()\ninner_train_task.opt = @A()",
    ],
)
def test_gin_text_of_no_trial_is_none(text):
    assert read_gin(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "Adam_lr" + "(" * 3000 + ")" * 3000 + "_b10.9_b20.999_eps1e-08_epsroot0",
        "Adam_lr" + "_b1" * 80 + "_b2" * 80 + "_eps" * 80 + "_epsroot" * 80,
        "_" * 100_000,
        "SGD_lr" + "-" * 3000 + "1",
    ],
)
def test_names_of_no_setting_are_none_at_once(text):
    assert read_setting(text) is None


def test_the_setting_recorded_comes_before_gin_and_the_set():
    def arrays(**columns):
        return {key: np.asarray([[value]]) for key, value in columns.items()}

    name = "AdamLR_1000_R5"
    bare = arrays(opt_name="Adam_lr0.1")
    assert hyperparameters("Nobody_1_R1", of_arrays(bare)) == Hyperparameters()
    assert hyperparameters(name, of_arrays(bare)).rows == ({"learning_rate": 0.1},)
    # Earlier versions wrote whole numbers so; of a rate the set lacks nothing is known.
    assert hyperparameters(name, of_arrays(arrays(opt_name="Adam_lr1.0"))).rows == (
        {"learning_rate": 1.0},
    )
    assert hyperparameters(name, of_arrays(arrays(opt_name="Adam_lr7"))).rows == ({},)
    with_gin = bare | arrays(gin_operative_config=gin_text("Mine", learning_rate=2.0))
    assert hyperparameters(name, of_arrays(with_gin)).rows == ({"learning_rate": 2.0},)
    whole = with_gin | arrays(opt_config=SGD(0.3).name)
    assert hyperparameters(name, of_arrays(whole)).rows == ({"learning_rate": 0.3},)
    # A user's own optimizer that this process does not know.
    unknown = with_gin | arrays(opt_config="Mine_lr2.0_x3")
    assert recorded(of_arrays(unknown)) == Hyperparameters(({"learning_rate": 2.0},))


GRID = Hyperparameters(
    tuple(
        {"learning_rate": lr, "beta1": b1, "graft": "SGD"}
        for lr, b1 in itertools.product((1.0, 0.1, 0.01), (0.9, 0.99, 0.5))
    )
)


def test_lines_of_a_grid_by_hand():
    # Configurations 0, 3 and 6 have beta1 0.9; the rates descend.
    assert GRID.line(3, "learning_rate").tolist() == [6, 3, 0]
    assert GRID.line(3, "beta1").tolist() == [5, 3, 4]
    assert GRID.varied() == ("learning_rate", "beta1")
    assert GRID.learning_rate() == "learning_rate"


@pytest.mark.parametrize(
    ("index", "edges"),
    [
        (0, ("learning_rate",)),
        (3, ()),
        (4, ("beta1",)),
        (5, ("beta1",)),
        (8, ("learning_rate", "beta1")),
    ],
)
def test_edges_of_a_grid_by_hand(index, edges):
    assert GRID.edges(index) == edges


def test_a_search_over_several_has_no_edges_and_one_over_a_single_one_has():
    space = {"learning_rate": {"log": [1e-4, 1.0]}, "beta1": {"linear": [0.5, 0.99]}}
    drawn = Hyperparameters(tuple(random(parse_space(space), 20, seed=0)))
    assert not any(drawn.edges(index) for index in range(20))
    del space["beta1"]
    single = Hyperparameters(tuple(random(parse_space(space), 20, seed=0)))
    rates = [row["learning_rate"] for row in single.rows]
    for index, rate in enumerate(rates):
        is_extreme = rate in (min(rates), max(rates))
        assert single.edges(index) == (("learning_rate",) if is_extreme else ())


def test_two_learning_rates_are_none():
    rows = ({"A.learning_rate": 0.1, "B.learning_rate": 0.2},)
    assert Hyperparameters(rows).learning_rate() is None
    both = (*rows, {"A.learning_rate": 0.3, "B.learning_rate": 0.4})
    assert Hyperparameters(both).learning_rate() is None
    one = (*rows, {"A.learning_rate": 0.3, "B.learning_rate": 0.2})
    assert Hyperparameters(one).learning_rate() == "A.learning_rate"


def write_settings(set_name, opt_configs, test):
    """Archive a set under names that say nothing, of recorded settings."""
    write_archive("T", set_name, test)
    arrays = dict(utils.load_archive("T", set_name))
    shape = arrays["opt_name"].shape
    del arrays["gin_operative_config"]
    for key, values in {
        "opt_name": [f"config{i}" for i in range(len(test))],
        "opt_config": opt_configs,
    }.items():
        arrays[key] = np.broadcast_to(np.asarray(values)[:, None], shape)
    utils.write_archive("T", set_name, arrays)


def test_descending_rates_have_edges_and_sensitivity():
    write_settings(
        "Down", [Adam(lr, 0.8).name for lr in (1.0, 0.1, 0.01)], [[1], [2], [3]]
    )
    result = load_set_result("T", "Down")
    assert result.best.edges == ("learning_rate",)
    assert result.learning_rates is not None
    assert result.learning_rates.tolist() == [1.0, 0.1, 0.01]
    over_rates = result.final_over_rates()
    assert over_rates is not None
    assert over_rates[0].tolist() == [0.01, 0.1, 1.0]
    np.testing.assert_allclose(over_rates[1], [[3], [2], [1]])
    assert result.sensitivity is not None
    assert (result.sensitivity.best, result.sensitivity.at_edge) == (1.0, True)
    for ends in (load_curves("T", "Down"), load_final_losses("T", "Down")):
        assert best_of_set(ends).edges == ("learning_rate",)
    # From what the index remembers, too.
    assert best_of_set(load_final_losses("T", "Down")).edges == ("learning_rate",)


def test_sensitivity_of_a_grid_is_along_the_line_through_the_best():
    settings = list(itertools.product((0.01, 0.1, 1.0), (0.9, 0.8)))
    # At beta1 0.8 the best is at 0.1 (0.5, its neighbours 0.9 and 0.7); beta1 0.9 is
    # worse everywhere, and has its best elsewhere.
    test = [[0.6], [0.9], [0.8], [0.5], [0.7], [0.7]]
    write_settings("Grid", [Adam(lr, b1).name for lr, b1 in settings], test)
    result = load_set_result("T", "Grid")
    assert result.best.index == 3
    assert result.best.edges == ("beta1",)
    assert any("Grid (of beta1)" in said for said in caveats(*analyse(["T"], ["Grid"])))
    [line, star] = plot_sensitivity("T", ["Grid"]).get_lines()
    np.testing.assert_array_equal(line.get_xdata(), [0.01, 0.1, 1.0])
    np.testing.assert_array_equal(star.get_xdata(), [0.1])
    plt.close("all")
    over_rates = result.final_over_rates()
    assert over_rates is not None
    assert over_rates[0].tolist() == [0.01, 0.1, 1.0]
    np.testing.assert_allclose(over_rates[1][:, 0], [0.9, 0.5, 0.7])
    sensitivity = result.sensitivity
    assert sensitivity is not None
    assert (sensitivity.best, sensitivity.at_edge) == (0.1, False)
    # 5% above 0.5 is a sixteenth of the way to 0.9 and an eighth of that to 0.7.
    assert sensitivity.decades == pytest.approx(1 / 16 + 1 / 8)


def test_drawn_settings_have_neither():
    drawn = [Adam(0.01, 0.9), Adam(0.02, 0.8), Adam(0.3, 0.95)]
    write_settings("Drawn", [opt.name for opt in drawn], [[3], [2], [1]])
    result = load_set_result("T", "Drawn")
    assert result.best.edges == ()
    assert result.sensitivity is None
    assert result.final_over_rates() is None


def test_a_set_defined_later_is_known_then():
    write_settings("Later_1_R1", ["", ""], [[1.0], [2.0]])
    assert not best_of_set(load_final_losses("T", "Later_1_R1")).at_edge
    with SETS.temporarily():
        hparams = ({"learning_rate": 0.1}, {"learning_rate": 0.2})
        add_hparam_set(
            HParamSet("Later_1_R1", "SGD", ("config0", "config1"), hparams, 1, 1)
        )
        for load in (load_final_losses, load_curves):
            assert best_of_set(load("T", "Later_1_R1")).edges == ("learning_rate",)
