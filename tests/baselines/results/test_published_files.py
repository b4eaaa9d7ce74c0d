"""Raw results in the published form are found, archived, drawn and reported."""

from pathlib import Path

import numpy as np
import pytest

from learned_optimization.baselines import hparam_sets, run_archive, utils, vis
from learned_optimization.baselines.analysis.best_of_set import (
    best_of_set,
    load_final_losses,
)
from learned_optimization.baselines.analysis.set_results import load_set_result
from learned_optimization.baselines.folder_names import (
    folders_to_search,
    present_name,
    value_text,
)
from learned_optimization.baselines.hparam_sets import get_hparam_set
from learned_optimization.baselines.report.build import build_report
from learned_optimization.baselines.results import archiving
from learned_optimization.baselines.results.selecting import files_of
from learned_optimization.baselines.results.status import OTHER, status
from learned_optimization.baselines.sweeps.sweep import missing_trials, set_trials
from learned_optimization.configurable import configurable
from learned_optimization.errors import ResultError
from tests.baselines import files, published
from tests.cli.running import lopt_here

TASK = "ImageMLP_FashionMnist8_Relu32"
SET = "AdamLR_1000_R5"


@pytest.fixture
def raw():
    """A folder of raw published curves."""
    published.write_rates(TASK, "Adam", 1000, repetitions=5)


def row_of(name: str):
    rows = {row.hparam_set: row for row in status([TASK], [], known_sets())}
    return rows[name]


def known_sets():
    return [get_hparam_set(n) for n in hparam_sets.PUBLISHED_SET_NAMES]


def test_results_are_loaded(raw):
    found = utils.load_baseline_results(TASK, "Adam_lr1", 1000, 10, 5, 10, "curves")
    assert len(found) == 5
    assert sorted(float(r["eval/test/loss"][-1]) for r in found) == pytest.approx(
        [published.final_loss(14, seed) for seed in range(5)]
    )
    assert found[0]["eval/xs"].dtype == np.float64


def test_status_counts_the_fourteen_and_names_the_others(raw):
    row = row_of(SET)
    assert (row.num_trials, row.counts["done"], row.counts["missing"]) == (70, 70, 0)
    # The rate 1e-7 is in no set.
    assert row_of(OTHER).num_trials == 5


def test_nothing_found_is_trained_again(raw):
    missing, unreadable = missing_trials(set_trials(TASK, get_hparam_set(SET)))
    assert (missing, unreadable) == ([], [])


@pytest.mark.parametrize("as_published", [False, True])
def test_archives_have_fourteen_or_fifteen_rates(raw, as_published):
    assert run_archive.maybe_archive_hparam_set(TASK, SET, as_published)
    archive = utils.load_archive(TASK, SET)
    rates = published.RATES if as_published else published.RATES[1:]
    assert archive["eval/test/loss"].shape == (len(rates), 5, 101)
    assert archive["opt_name"][:, 0].tolist() == [f"Adam_lr{rate}" for rate in rates]
    assert set(archive["task_name"].ravel()) == {TASK}
    first = 15 - len(rates)
    for config in range(len(rates)):
        ends = np.sort(archive["eval/test/loss"][config, :, -1])
        want = [published.final_loss(config + first, seed) for seed in range(5)]
        np.testing.assert_allclose(ends, want, rtol=1e-6)
    assert "seed" not in archive
    # What is stacked in memory is what is archived.
    stacked = run_archive.maybe_get_hparam_set(TASK, SET)
    assert stacked is not None
    assert set(stacked) == set(archive)
    assert stacked["opt_name"][:, 0].tolist() == [
        f"Adam_lr{rate}" for rate in published.RATES[1:]
    ]


def test_archive_command_and_script(raw, tmp_path):
    done = lopt_here("archive", TASK, SET, "--as-published")
    assert done.returncode == 0, done.stderr
    assert utils.load_archive(TASK, SET)["opt_name"].shape == (15, 5)
    bindings = {"task_name": TASK, "hparam_set_name": SET, "timeout_seconds": 1.0}
    name = "wait_until_ready_then_archive_task"
    code = run_archive.main(
        [f"--gin_bindings={name}.{k}={v!r}" for k, v in bindings.items()]
    )
    assert code == 0
    assert utils.load_archive(TASK, SET)["opt_name"].shape == (14, 5)
    refused = lopt_here("archive", TASK, "LionLR_1000_R5", "--as-published")
    assert refused.returncode == 2
    assert "was never published" in refused.stderr


def test_they_are_drawn_and_reported_beside_ours(raw, tmp_path):
    ours = get_hparam_set("SGDLR_1000_R5")
    files.write_set(ours, TASK)
    published_set = get_hparam_set(SET)
    paths = [utils.get_baseline_archive_path(TASK, n) for n in (SET, ours.name)]
    archiving.archive(TASK, published_set.with_published_rate())
    _archive_without_settings(ours)
    assert all(Path(path).is_file() for path in paths)
    best = best_of_set(load_final_losses(TASK, SET))
    assert best.opt_name == "Adam_lr0.003"
    ax = vis.plot_tasks_and_sets(TASK, [SET, ours.name])
    assert len(ax.get_lines()) == 2
    result = load_set_result(TASK, SET)
    assert result.learning_rates is not None
    np.testing.assert_allclose(
        result.learning_rates, [float(r) for r in published.RATES]
    )
    assert result.facts["accelerator_kind"] == "TPU v2"
    page = build_report([TASK], [SET, ours.name], str(tmp_path / "report"))
    assert "Adam_lr0.003" in Path(page).read_text()


def _archive_without_settings(hparam_set):
    results = [
        [files.result(name, seed, hparam_set.num_steps) for seed in range(5)]
        for name in hparam_set.opt_names
    ]
    keys = results[0][0]
    arrays = {k: np.stack([[r[k] for r in row] for row in results]) for k in keys}
    utils.write_archive(TASK, hparam_set.name, arrays)


def test_best_curves_as_published(raw):
    run_archive.maybe_archive_hparam_set(TASK, SET)
    [(xs, mean, (low, high))] = vis.load_curves(TASK, (SET,))
    # The tenth rate of fifteen, the mean of five seeds.
    start, step = 2.3, np.arange(0, 1001, 10) / 1000
    ends = [published.final_loss(9, seed) for seed in range(5)]
    lines = np.array([start + (end - start) * step for end in ends])
    np.testing.assert_array_equal(xs, np.arange(0, 1001, 10))
    np.testing.assert_allclose(mean, lines.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(low, lines.min(axis=0), rtol=1e-6)
    np.testing.assert_allclose(high, lines.max(axis=0), rtol=1e-6)


def test_an_archive_of_the_published_system_is_read(raw):
    # It stacks what it has read: there, names are those of classes.
    rates = published.RATES
    name = "Adam_lr{}_b10.9_b20.999_eps1e-08_epsroot1e-08"
    trials = [
        [published.curves(c, s, 1000, name.format(rate)) for s in range(5)]
        for c, rate in enumerate(rates)
    ]
    arrays = {
        k: np.asarray([[t[k] for t in row] for row in trials]) for k in trials[0][0]
    }
    path = Path(utils.get_baseline_archive_path(TASK, SET))
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
    assert utils.load_archive(TASK, SET)["eval/test/loss"].shape == (15, 5, 101)
    result = load_set_result(TASK, SET)
    assert result.learning_rates is not None
    assert result.learning_rates[result.best.index] == 0.003


MOMENTUM = """
# Parameters for RMSProp:
# ==============================================================================
RMSProp.decay = 0.9
RMSProp.learning_rate = {}
RMSProp.momentum = {}
"""


def write_rmsprop(momentum, repetitions=5):
    for config, rate in enumerate(published.RATES):
        for seed in range(repetitions):
            gin = MOMENTUM.format(rate, momentum)
            data = published.curves(config, seed, 10_000, opt="RMSProp", gin=gin)
            data["eval/test/loss"] += 100 * (momentum == 0.9)
            published.write(TASK, f"RMSProp_lr{rate}", 10_000, data)


@pytest.mark.slow
def test_two_published_sets_in_one_folder():
    write_rmsprop(None)
    plain, with_momentum = "RMSPropLR_10000_R5", "RMSPropMomLR_10000_R5"
    assert row_of(plain).counts["done"] == 70
    assert run_archive.maybe_get_hparam_set(TASK, with_momentum) is None
    write_rmsprop(0.9, repetitions=4)
    assert run_archive.maybe_get_hparam_set(TASK, with_momentum) is None
    write_rmsprop(0.9, repetitions=1)
    for name, is_high in ((plain, False), (with_momentum, True)):
        assert row_of(name).counts["done"] == 70
        found = run_archive.maybe_get_hparam_set(TASK, name)
        assert found is not None
        assert ((found["eval/test/loss"] > 50) == is_high).all()
    # The names are ours: each has its own.
    assert run_archive.maybe_archive_hparam_set(TASK, with_momentum, True)
    names = utils.load_archive(TASK, with_momentum)["opt_name"][:, 0]
    assert names.tolist() == [f"RMSPropMom_lr{rate}" for rate in published.RATES]
    # Both rates are RMSProp's folders; each set's own files are deleted.
    of_plain, of_momentum = (
        {f.path for f in files_of(TASK, [get_hparam_set(n)], ["results"])}
        for n in (plain, with_momentum)
    )
    assert len(of_plain) == len(of_momentum) == 70
    assert not of_plain & of_momentum
    found = utils.load_baseline_results(TASK, "RMSPropMom_lr0.1", 10_000)
    assert len(found) == 5
    assert min(r["eval/test/loss"].min() for r in found) > 50


def test_results_under_old_names_are_found():
    # `1.0` was written where `1` is today.
    opt = hparam_sets.get_hparam_set("SGDLR_1000_R5")
    [trial] = [
        t for t in set_trials(TASK, opt) if t.opt_name == "SGD_lr1" and not t.seed
    ]
    data = files.result("SGD_lr1.0", 0, 1000, task_name=TASK, opt_config=trial.opt.name)
    path = utils.write_baseline_result(data)
    assert "/SGD_lr1.0/" in path
    assert missing_trials([trial])[0] == []
    assert row_of_sgd().counts["done"] == 1
    [found] = utils.load_baseline_results(TASK, "SGD_lr1", 1000)
    assert str(found["opt_name"]) == "SGD_lr1.0"
    assert len(utils.load_baseline_results(TASK, "SGD_lr1.0", 1000)) == 1
    assert [f.path for f in files_of(TASK, [opt], ["results"])] == [path]
    # Another setting under that name is still refused.
    utils.write_baseline_result({**data, "seed": 1, "opt_config": "SGD_lr2.0"})
    with pytest.raises(ResultError, match=r"SGD_lr2\.0"):
        missing_trials([trial])


def row_of_sgd():
    [row] = status([TASK], [get_hparam_set("SGDLR_1000_R5")])
    return row


def test_names():
    for value, text in [(1.0, "1"), (1, "1"), (3e-7, "3e-07"), (0.5, "0.5")]:
        assert value_text(value) == text
    assert value_text(True) == "True"
    assert value_text("a.0") == "a.0"
    for old, new in [
        ("Adam_lr1.0", "Adam_lr1"),
        ("Adam_lr1.0_b10.9", "Adam_lr1_b10.9"),
        (
            "Adam_lr(CosineDecay_steps20.0_lr1.0)_b10.5",
            "Adam_lr(CosineDecay_steps20_lr1)_b10.5",
        ),
        ("Adam_lr0.001", "Adam_lr0.001"),
        ("SGD_lr100000000.0", "SGD_lr100000000"),
        ("X_v1.05", "X_v1.05"),
    ]:
        assert present_name(old) == new
    folder = utils.get_save_dir("T", "Adam_lr1", 1, 10, 5, 10)
    assert folders_to_search(folder) == [folder]


def test_a_function_of_ones_own_is_archived():
    @configurable("tests")
    def two_folders(task_name):
        folders = [
            utils.get_save_dir(task_name, f"Own_lr{rate}", 20, 10, 5, 10)
            for rate in (1, 2)
        ]
        return [{}] * 4, [(folder, 2) for folder in folders]

    assert run_archive.maybe_get_hparam_set("T", "two_folders") is None
    for config, rate in enumerate((1, 2)):
        for seed in range(3):
            published.write(
                "T", f"Own_lr{rate}", 20, published.curves(config, seed, 20)
            )
    found = run_archive.maybe_get_hparam_set("T", "x", two_folders)
    assert found is not None
    assert found["eval/test/loss"].shape == (2, 2, 3)
    assert found["opt_name"].tolist() == [["Own_lr1"] * 2, ["Own_lr2"] * 2]
    assert run_archive.maybe_archive_hparam_set("T", "two_folders")
    assert utils.list_hparam_sets_for_task("T") == ["two_folders"]


def test_damaged_files_are_cleared():
    published.write_rates(TASK, "Adam", 1000, repetitions=5)
    folder = Path(utils.get_save_dir(TASK, "Adam_lr1", 1000, 10, 5, 10))
    bad = next(folder.glob("*.curves"))
    bad.write_bytes(b"no zip")
    found = run_archive.maybe_get_hparam_set(TASK, SET, clear_bad_files=True)
    assert found is None
    assert not bad.exists()
    assert (folder / utils.QUARANTINE / bad.name).exists()
