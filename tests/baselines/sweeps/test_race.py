"""Races on the ordinary store: real ones, resumed ones, and the cases of race.md."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from learned_optimization.baselines import stats
from learned_optimization.baselines.results.trial_losses import read_trial_losses
from learned_optimization.baselines.sets.hparam_set import HParamSet
from learned_optimization.baselines.stats.chains import prepared
from learned_optimization.baselines.stats.looks import is_scheduled
from learned_optimization.baselines.stats.racing import Outcome
from learned_optimization.baselines.sweeps.grids import TrialGrid
from learned_optimization.baselines.sweeps.race import (
    SilentRaceObserver,
    run_race,
)
from learned_optimization.baselines.sweeps.sweep import run_sweep, set_trials_of
from learned_optimization.configurable import configurable
from learned_optimization.errors import LoptError, ResultError, RunStoppedError
from learned_optimization.tasks.base import Task
from tests.baselines.files import TASK, write
from tests.baselines.stats.race_cases import golden
from tests.baselines.stats.test_racing import OUTCOMES
from tests.baselines.sweeps.faulty import Trainer, results
from tests.tiny import TinyRegression

assert TinyRegression.__name__ == TASK


@configurable("tests")
def OtherRegression() -> Task:
    return TinyRegression()


REAL_TASK = "ImageMLP_FashionMnist8_Relu32"
RATES = (0.003, 0.03, 0.1)


def sgd(prefix: str = "SGD", rates: tuple[float, ...] = RATES, **more) -> HParamSet:
    """A set over learning rates, whose folders are named after it."""
    made = HParamSet(
        name=f"{prefix}_20_R3",
        optimizer="SGD",
        opt_names=tuple(f"{prefix}_lr{rate}" for rate in rates),
        hparams=tuple({"learning_rate": rate} for rate in rates),
        num_steps=20,
        repetitions=3,
    )
    return replace(made, **more)


# Of one optimizer, so that each look trains one grid; 8 seeds tell them apart.
SLOW = sgd("Slow", (0.01, 0.03), num_steps=100)
QUICK = sgd("Quick", (0.1, 0.2), num_steps=100)
ADAM_NAMES = ("Adam_lr0.01", "Adam_lr0.03")
RULES = stats.RaceRules(tolerance=0.01, max_seeds=16)


class Looks(SilentRaceObserver):
    """Keeps what each look said, and may stop the race after one."""

    def __init__(self, stop_after: int | None = None):
        self.seeds: list[int] = []
        self._stop_after = stop_after

    def looked(self, standing):
        self.seeds.append(standing.result.num_seeds)

    def is_to_stop(self) -> bool:
        return len(self.seeds) == self._stop_after


@pytest.fixture
def trainer(monkeypatch):
    """Trains in an instant, for what does not depend on the curves."""
    trainer = Trainer()
    monkeypatch.setattr(TrialGrid, "run", lambda *args, **kw: trainer.run(*args, **kw))
    return trainer


def found(standing) -> list[tuple]:
    looks = standing.result.looks
    return [(k.dropped, k.out, k.left, k.leader, k.chosen, k.within) for k in looks]


@pytest.fixture
def counted(monkeypatch):
    """The trials trained, in their grids."""
    trained, real = [], TrialGrid.run

    def run(grid, *args, **kwargs):
        trained.append(grid.places)
        return real(grid, *args, **kwargs)

    monkeypatch.setattr(TrialGrid, "run", run)
    return trained


@pytest.mark.slow
def test_a_race_finds_the_better_set_and_goes_on_after_a_stop(
    counted, tmp_path, monkeypatch
):
    whole = Looks()
    one_go = run_race([TASK], [SLOW, QUICK], RULES, whole)
    assert one_go.result.outcome is Outcome.BETTER
    assert one_go.left == ("Quick_20_R3",)
    assert whole.seeds == [4, 8]
    assert one_go.sentence().startswith("Quick_20_R3 is better than Slow_20_R3")
    assert one_go.num_run == one_go.result.num_trials == len(results())
    assert one_go.num_uniform == 4 * one_go.result.num_seeds
    # One program for both sets: the configurations left with the new seeds.
    assert len(counted[0]) == 16
    assert {seed for _, seed in counted[1]} == {4, 5, 6, 7}

    monkeypatch.setenv("LOPT_BASELINE_DIR", str(tmp_path / "other"))
    counted.clear()
    stopped = Looks(stop_after=1)
    with pytest.raises(RunStoppedError):
        run_race([TASK], [QUICK, SLOW], RULES, stopped, stopped.is_to_stop)
    assert stopped.seeds == [4]
    again = Looks()
    resumed = run_race([TASK], [QUICK, SLOW], RULES, again)
    # The other order of the sets changes nothing, and no trial was trained twice.
    assert found(resumed) == found(one_go)
    assert resumed.sentence() == one_go.sentence()
    assert again.seeds == whole.seeds
    assert len(results()) == one_go.result.num_trials
    assert resumed.num_run == one_go.result.num_trials - 16

    # Once it is decided, nothing is trained, and the answer is the same.
    counted.clear()
    replayed = run_race([TASK], [QUICK, SLOW], RULES)
    assert (found(replayed), counted) == (found(one_go), [])


def test_races_and_sweeps_share_their_trials(trainer):
    run_sweep([TASK], [SLOW, QUICK])
    trainer.trained.clear()
    rules = replace(RULES, max_seeds=4)
    standing = run_race([TASK], [SLOW, QUICK], rules)
    assert standing.num_run == 4
    assert {seed for trials in trainer.trained for _, seed in trials} == {3}
    assert standing.result.num_trials == 16
    # The first three seeds are those of the sweep, whose own trials are all there.
    assert run_sweep([TASK], [SLOW, QUICK]).num_skipped == 12
    longer = replace(QUICK, name="Quick_20_R4", repetitions=4)
    assert run_sweep([TASK], [longer]).num_skipped == 8


def test_seeds_begin_where_they_are_told_to(trainer):
    rules = replace(RULES, max_seeds=4)
    first = run_race([TASK], [SLOW, QUICK], rules)
    second = run_race([TASK], [SLOW, QUICK], rules, seed_offset=4)
    seeds = [seed for trials in trainer.trained for _, seed in trials]
    assert sorted(set(seeds)) == list(range(8))
    assert len(seeds) == len(results()) == 32
    rows = [stats.race_rows(s.result) for s in (first, second)]
    assert rows[0][0].loss != rows[1][0].loss
    with pytest.raises(LoptError, match="seed_offset must be"):
        run_race([TASK], [SLOW, QUICK], rules, seed_offset=-1)


def test_a_trial_that_failed_is_waited_for(trainer, monkeypatch):
    adam = replace(SLOW, optimizer="Adam", name="Adam_20_R3", opt_names=ADAM_NAMES)

    def run(grid, *args, **kwargs):
        if "Adam" in grid.first.save_dir:
            raise MemoryError("too large")
        return trainer.run(grid)

    monkeypatch.setattr(TrialGrid, "run", run)
    standing = run_race([TASK], [adam, QUICK], RULES)
    assert standing.result.outcome is Outcome.WAITING
    assert "Waiting for 8 trials at 4 seeds" in standing.sentence()
    assert standing.summary.num_failed == 8
    assert standing.missing()[0] == f"{TASK} {ADAM_NAMES[0]}: seeds 0, 1, 2, 3"
    assert len(results()) == 8
    monkeypatch.setattr(TrialGrid, "run", lambda *args, **kw: trainer.run(*args, **kw))
    rules = replace(RULES, max_seeds=4)
    assert run_race([TASK], [adam, QUICK], rules).missing() == []
    assert len(results()) == 16


@pytest.mark.parametrize("max_seeds", [1, 3])
def test_few_seeds_are_trained_and_nothing_is_said(max_seeds, trainer):
    rules = replace(RULES, max_seeds=max_seeds)
    standing = run_race([TASK], [SLOW, QUICK], rules)
    assert standing.result.outcome is Outcome.UNDECIDED
    assert "Nothing is said below 4 seeds." in standing.remarks()
    assert standing.result.looks == ()
    assert standing.num_run == standing.num_trials == standing.num_uniform
    assert standing.num_run == 4 * max_seeds
    # A longer race takes them up.
    after = run_race([TASK], [SLOW, QUICK], replace(RULES, max_seeds=4))
    assert after.num_run == 4 * (4 - max_seeds)


@pytest.mark.parametrize(
    ("fill", "max_trials", "sizes"),
    [
        # 2 configurations of each set have 4 new seeds at each look; both sets are of
        # one optimizer, and share a program.
        (0, None, [(4, 4), (4, 4)]),
        (9, None, [(4, 4), (4, 4)]),
        (11, None, [(4, 5), (4, 3)]),
        (16, None, [(4, 8)]),
        # Never beyond the last look, and never where trials are limited.
        (70, None, [(4, 8)]),
        (70, 100, [(4, 4), (4, 4)]),
    ],
)
def test_programs_are_filled_with_later_seeds(
    fill, max_trials, sizes, trainer, monkeypatch
):
    trained = []

    def run(grid, *args, **kwargs):
        trained.append((len(grid.rows), len(grid.rows[0])))
        return trainer.run(grid)

    monkeypatch.setattr(TrialGrid, "run", run)
    rules = stats.RaceRules(1e-9, max_seeds=8, max_trials=max_trials)
    standing = run_race([TASK], [SLOW, QUICK], rules, fill=fill)
    assert [look.look.num_seeds for look in standing.result.looks] == [4, 8]
    assert trained == sizes
    assert standing.num_run == standing.num_trials == 32


def test_a_processor_trains_no_seeds_ahead(trainer):
    run_race([TASK], [SLOW, QUICK], replace(RULES, max_seeds=8))
    assert max(seed for grid in trainer.trained for _, seed in grid) == 7
    assert all(len(grid) == 16 for grid in trainer.trained)


def test_sets_of_other_seeds_are_not_raced():
    with pytest.raises(LoptError, match="Quick_20_R3_from5: name the set without its"):
        run_race([TASK], [SLOW, QUICK.from_seed(5)], RULES)


@pytest.mark.parametrize("sets", [[QUICK], [QUICK, QUICK], []])
def test_a_race_needs_two_sets(sets):
    with pytest.raises(LoptError, match="at least two sets"):
        run_race([TASK], sets, RULES)


def write_losses(
    task: str,
    hparam_set: HParamSet,
    outer_valid,
    test,
    initial=100.0,
    of_valid=None,
    whole=None,
) -> None:
    """Write result files of losses `[configs][seeds]`; None is a loss not finite.

    They begin at `initial`, on outer_valid at `of_valid` if it is given. `whole` has
    the losses over both whole splits; None is a file that lacks them.
    """
    begin = (initial if of_valid is None else of_valid, initial)
    configs = [(config, 0) for config in range(hparam_set.num_configs)]
    trials = set_trials_of(task, hparam_set, configs)
    rows = zip(trials, outer_valid, test, strict=True)
    for trial_index, (trial, valids, tests) in enumerate(rows):
        for seed, pair in enumerate(zip(valids, tests, strict=True)):
            valid, reported = (
                np.array([first, 1, x], np.float64)
                for first, x in zip(begin, pair, strict=True)
            )
            losses = {"eval/outer_valid/loss": valid, "eval/test/loss": reported}
            if whole and (final := whole[trial_index][seed]) is not None:
                for split in ("outer_valid", "test"):
                    losses[f"final/{split}/loss"] = np.asarray(final)
            changes = {"task_name": task, "opt_config": trial.opt.name, **losses}
            write(trial.opt_name, seed, **changes)


@pytest.mark.parametrize("number", range(len(golden()["cases"])))
def test_cases_read_from_the_store(number):
    case = golden()["cases"][number]
    args, expected = case["args"], case["expected"]
    ceiling = args.get("ceiling", 100.0)
    sets = []
    for a, (valid, test) in enumerate(
        zip(case["outer_valid"], case["test"], strict=True)
    ):
        rates = tuple(0.001 * (b + 1) for b in range(len(test)))
        sets.append(sgd(f"S{a}", rates))
        write_losses(TASK, sets[-1], valid, test, initial=ceiling)
    rules = stats.RaceRules(
        args["eps"], max_seeds=args["max_seeds"], until=args.get("until", "all")
    )
    # What the race does not ask for is in the store, and nothing needs training.
    standing = run_race([TASK], sets[::-1], rules)
    result = standing.result
    assert standing.num_run == 0
    assert result.outcome is OUTCOMES[expected["verdict"]]
    assert list(result.left) == expected["left"]
    assert result.num_trials == expected["trials"]
    for look, want in zip(result.looks, expected["looks"], strict=True):
        assert [list(x[1:]) for x in look.dropped] == want["rates_dropped"]
        assert list(look.out) == want["sets_out"]
        assert [look.leader, *look.chosen] == want["leader"]
        evidence = [float(t) for t in want["t_set"].values()]
        assert list(look.evidence.values()) == pytest.approx(evidence, abs=1e-4)


def test_what_diverged_counts_as_the_loss_before_training():
    seeds = np.arange(16)
    good = [(0.5 + 0.001 * np.cos(seeds)).tolist()]
    bad = [[5.0 if s % 2 else float("nan") for s in seeds]]
    sets = [sgd("S0", (0.1,)), sgd("S1", (0.1,))]
    write_losses(TASK, sets[0], good, good, initial=2.0)
    write_losses(TASK, sets[1], bad, bad, initial=2.5)
    standing = run_race([TASK], sets, RULES)
    [losses] = standing.tasks
    # The mean over trials of the first four seeds of both sets.
    assert losses.ceiling == 2.25
    assert standing.left == ("S0_20_R3",)
    rows = stats.race_rows(standing.result)
    assert (rows[1].loss, rows[1].num_diverged) == (2.25, 8)
    assert "at most 31% of its trials" in standing.sentence()


def test_each_split_is_clipped_at_its_own_loss_before_training():
    noise = 0.01 * np.cos(np.arange(16))
    sets = [sgd("S0", (0.1,)), sgd("S1", (0.2,))]
    # All outer_valid losses are above the test loss before training, and improve.
    for task in (TASK, "OtherRegression"):
        for hparam_set, end in zip(sets, (3.0, 3.5), strict=True):
            both = [(end + noise).tolist()], [(end - 2.5 + noise).tolist()]
            write_losses(task, hparam_set, *both, initial=2.0, of_valid=4.0)
    [task] = run_race([TASK], sets, RULES).tasks
    assert (task.outer_valid_ceiling, task.ceiling) == (4.0, 2.0)
    checked = prepared(task)
    assert not np.concatenate(checked.diverged).any()
    valid = checked.outer_valid[0][0]
    np.testing.assert_allclose(valid, 3.0 + noise[: len(valid)])
    # Over tasks 1 is the test loss of 2, and 0 is lower by what the best improves.
    task, _ = run_race([TASK, "OtherRegression"], sets, RULES).tasks
    scale = 4.0 - (3.0 + noise[:4].mean())
    assert task.scale == pytest.approx(scale)
    assert task.reference == pytest.approx(2.0 - scale)


def around(mean: float, num_seeds: int = 16) -> list[float]:
    return (mean + 0.001 * np.cos(np.arange(num_seeds))).tolist()


@pytest.mark.parametrize("lacking", [None, (0, 0), (1, 9)])
def test_whole_splits_and_last_evaluations_are_not_mixed(lacking):
    """They say opposite things; one file without whole splits decides for all."""
    sets = [sgd("S0", (0.1,)), sgd("S1", (0.1,))]
    for a, (last, whole) in enumerate([(0.5, 0.9), (0.9, 0.5)]):
        finals: list[float | None] = list(around(whole))
        if lacking and lacking[0] == a:
            finals[lacking[1]] = None
        ends = [around(last)]
        write_losses(TASK, sets[a], ends, ends, initial=2.0, whole=[finals])
    # Eight seeds decide: a file of seed 9 is not read.
    rules = replace(RULES, tolerance=1e-6)
    standing = run_race([TASK], sets, rules)
    is_mixed = lacking == (0, 0)
    assert standing.left == (("S0_20_R3",) if is_mixed else ("S1_20_R3",))
    assert found(run_race([TASK], sets, rules)) == found(standing)
    remark = (
        "Losses are of the last evaluation, over a few batches: 1 trial has none over "
        "whole splits."
    )
    assert (remark in standing.remarks()) == is_mixed
    [losses] = standing.tasks
    mean = np.nanmean(np.asarray(losses.test[0]))
    assert mean == pytest.approx(0.5 if is_mixed else 0.9, abs=1e-3)


def test_a_race_whose_losses_turn_into_last_evaluations_trains_what_these_ask_for(
    trainer,
):
    """Over whole splits the second rate is best, by the last evaluation the first."""
    sets = [sgd("S0", (0.1, 0.2)), sgd("S1", (0.1,))]
    good, bad = around(0.5, 4), around(2.0, 4)
    write_losses(TASK, sets[0], [good, bad], [good, bad], whole=[bad, good])
    write_losses(TASK, sets[1], [good], [good], whole=[good])
    # What is trained has no losses over whole splits.
    standing = run_race([TASK], sets, replace(RULES, max_seeds=8))
    trained = {trial for grid in trainer.trained for trial in grid}
    assert {name for name, _ in trained} >= {"S0_lr0.1", "S1_lr0.1"}
    assert standing.missing() == []
    assert standing.result.num_seeds == 8
    trainer.trained.clear()
    again = run_race([TASK], sets, replace(RULES, max_seeds=8))
    assert found(again) == found(standing)
    assert trainer.trained == []


def test_whole_splits_are_preferred(tmp_path):
    finals = {f"final/{split}/loss": np.float32(7) for split in ("outer_valid", "test")}
    path = write("SGD_lr0.1", 0, **finals)
    losses = read_trial_losses(path)
    assert (losses.outer_valid, losses.test, losses.initial) == (7.0, 7.0, 3.0)
    losses = read_trial_losses(write("SGD_lr0.1", 1))
    assert (losses.outer_valid, losses.test, losses.initial) == (2.0, 2.0, 4.0)


def test_a_look_out_of_turn_is_remembered():
    assert [n for n in range(40) if is_scheduled(n)] == [4, 8, 16, 32]
    rng = np.random.default_rng(0)
    sets = [sgd("S0", (0.1,)), sgd("S1", (0.1,))]
    for hparam_set in sets:
        losses = [(0.5 + 0.1 * rng.random(16)).tolist()]
        write_losses(TASK, hparam_set, losses, losses)

    def shares(max_seeds, chosen=sets, **rules):
        made = stats.RaceRules(1e-6, max_seeds=max_seeds, **rules)
        looks = run_race([TASK], chosen, made).result.looks
        return {k.look.num_seeds: round(7 * k.look.share, 6) for k in looks}

    assert shares(8) == {4: 1, 8: 1}
    assert shares(10) == {4: 1, 8: 1, 10: 0.5}
    assert shares(16, sets[::-1]) == {4: 1, 8: 1, 10: 0.5, 16: 0.5}
    # A race of another level is another race.
    assert shares(16, alpha=0.1) == {4: 1, 8: 1, 16: 1}
    assert shares(10) == {4: 1, 8: 1, 10: 0.5}
    assert shares(8) == {4: 1, 8: 1}
    with pytest.raises(LoptError, match="max_seeds must be at least 10"):
        shares(9)
    [file] = (Path(results()[0]).parents[3] / ".races").iterdir()
    assert file.name.endswith("_10.json")


def test_several_tasks_are_scaled_by_what_the_first_seeds_say():
    seeds = np.arange(16)
    noise = 0.001 * np.cos(3 * seeds)
    sets = [sgd("S0", (0.1, 0.2)), sgd("S1", (0.1,))]
    for task, unit in ((TASK, 1.0), ("OtherRegression", 100.0)):
        best, other = 0.5 * unit + noise * unit, 0.9 * unit + noise[::-1] * unit
        worse = [best.tolist(), other.tolist()]
        write_losses(task, sets[0], worse, worse, initial=2.5 * unit)
        write_losses(task, sets[1], [other], [other], initial=2.5 * unit)
    standing = run_race([TASK, "OtherRegression"], sets, RULES)
    least = float(np.mean(0.5 + noise[:4]))
    scales = [task.scale for task in standing.tasks]
    assert scales == pytest.approx([100 * (2.5 - least), 2.5 - least])
    assert standing.left == ("S0_20_R3",)
    assert "The tolerance is in these units." in standing.remarks()[-1]
    # Later losses change no constant.
    assert standing.result.num_seeds > 4


def test_remarks_name_edges_and_inequalities():
    seeds = np.arange(4)
    first, second = ([(0.5 + x + 0.01 * seeds).tolist()] for x in (0.0, 0.3))
    edge, alone = sgd("S0", (0.1, 0.2)), sgd("S1", (0.1,))
    write_losses(TASK, edge, [*first, *second], [*first, *second])
    write_losses(TASK, alone, second, second)
    standing = run_race([TASK], [edge, alone], replace(RULES, max_seeds=4))
    assert standing.remarks() == [
        "What is chosen is at the edge of the set, so a better configuration may lie "
        "outside: S0_20_R3 (S0_lr0.1).",
        "The sets have different numbers of configurations: S0_20_R3 2, S1_20_R3 1.",
        "Losses are of the last evaluation, over a few batches: 12 trials have none "
        "over whole splits.",
    ]


def test_made_up_and_real_data_are_not_compared(monkeypatch):
    monkeypatch.setenv("LOPT_SYNTHETIC_DATA", "1")
    sets = [sgd("S0", (0.1,)), sgd("S1", (0.1,))]
    for is_synthetic, hparam_set in enumerate(sets):
        for seed in range(4):
            write(
                hparam_set.opt_names[0],
                seed,
                task_name=REAL_TASK,
                opt_config="SGD_lr0.1",
                synthetic_data=np.bool_(is_synthetic),
            )
    with pytest.raises(ResultError, match="made-up"):
        run_race([REAL_TASK], sets, replace(RULES, max_seeds=4))
