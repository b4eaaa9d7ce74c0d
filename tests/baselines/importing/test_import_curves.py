"""Curves of other frameworks as archives, compared with our own."""

import csv

import numpy as np
import pytest

from learned_optimization import filesystem
from learned_optimization.baselines import load_archive, utils
from learned_optimization.baselines.analysis.set_results import load_set_result
from learned_optimization.baselines.importing import import_curves
from learned_optimization.baselines.layout import get_root_baseline_dir
from learned_optimization.baselines.results.archives import delete_archive
from learned_optimization.baselines.results.status import OTHER, status
from learned_optimization.baselines.sets.hparam_set import learning_rates
from learned_optimization.baselines.sets.registry import all_hparam_sets
from learned_optimization.baselines.sweeps.replay import replay
from learned_optimization.errors import LoptError, TooLargeError
from learned_optimization.npz import limits
from tests.baselines.archives import write_archive

TASK = "ImageMLP_FashionMnist8_Relu32"
RATES, SEEDS, STEPS = (0.001, 0.01), (0, 1, 2), (0, 50, 100)


def loss(rate: float, seed: int, step: int, split: str = "test") -> float:
    """Return a loss that falls with the step, the lower rate's faster."""
    offset = {"train": 0.0, "outer_valid": 0.01, "test": 0.02}[split]
    return 1 / (1 + step * (0.1 - rate)) + 0.001 * seed + offset


def write(path, header, rows) -> str:
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return str(path)


def long_rows(splits=("train", "val", "test")):
    ours = {"train": "train", "val": "outer_valid", "test": "test"}
    return [
        [rate, seed, step, split, loss(rate, seed, step, ours[split]), 0.5]
        for rate in RATES
        for seed in SEEDS
        for step in STEPS
        for split in splits
    ]


LONG = ["lr", "seed", "step", "split", "loss", "accuracy"]


def check(archive) -> None:
    assert archive["eval/xs"].shape == (2, 3, 3)
    assert archive["eval/xs"][1, 2].tolist() == list(STEPS)
    assert archive["seed"].tolist() == [list(SEEDS)] * 2
    for split in ("train", "outer_valid", "test"):
        want = [
            [[loss(rate, seed, step, split) for step in STEPS] for seed in SEEDS]
            for rate in RATES
        ]
        np.testing.assert_allclose(archive[f"eval/{split}/loss"], want, rtol=1e-6)


def test_one_row_for_each_split(tmp_path) -> None:
    path = write(tmp_path / "curves.csv", LONG, long_rows())
    import_curves(path, TASK, "Theirs_100_R3", optimizer="TheirAdam")
    archive = load_archive(TASK, "Theirs_100_R3")
    check(archive)
    assert archive["opt_name"][:, 0].tolist() == [
        "TheirAdam_lr0.001",
        "TheirAdam_lr0.01",
    ]
    np.testing.assert_array_equal(archive["eval/test/accuracy"], 0.5)
    # It says where it comes from, and of what.
    assert set(archive["accelerator_platform"].ravel()) == {"elsewhere"}
    assert str(archive["versions"][0, 0]).startswith("imported: curves.csv (sha256 ")


def result_files(task=TASK) -> list[str]:
    root = get_root_baseline_dir()
    return [f.path for f in filesystem.walk_files(f"{root}/{task}", ".curves")]


def test_each_trial_has_a_result_file(tmp_path) -> None:
    path = write(tmp_path / "curves.csv", LONG, long_rows())
    import_curves(path, TASK, "Theirs", optimizer="TheirAdam")
    archive = load_archive(TASK, "Theirs")
    for i, rate in enumerate(RATES):
        name = f"TheirAdam_lr{rate}"
        folder = f"{get_root_baseline_dir()}/{TASK}/{name}/100_imported"
        results = utils.load_baseline_results_from_dir(folder)
        assert len(results) == len(SEEDS)
        for result in results:
            seed = int(result["seed"])
            assert str(result["opt_name"]) == name
            assert str(result["task_name"]) == TASK
            assert str(result["status"]) == "done"
            for key in archive:
                np.testing.assert_array_equal(result[key], archive[key][i, seed])
            np.testing.assert_allclose(
                result["eval/test/loss"], [loss(rate, seed, s) for s in STEPS], 1e-6
            )
    # They are of no set that is defined here, and cannot be trained again.
    [row] = status([TASK], [], list(all_hparam_sets().values()))
    assert (row.hparam_set, row.num_trials, row.counts["done"]) == (OTHER, 6, 6)
    with pytest.raises(LoptError, match="cannot be replayed"):
        replay(result_files()[0])


def test_a_sweep_does_not_take_them_for_its_own(tmp_path) -> None:
    [hparam_set] = learning_rates("SGDLR", "SGD", [(100, 3)])
    rates = [hparams["learning_rate"] for hparams in hparam_set.hparams]
    rows = [[rates[0], *r[1:]] for r in long_rows() if r[0] == RATES[0]]
    path = write(tmp_path / "curves.csv", LONG, rows)
    import_curves(path, TASK, "Theirs", optimizer="SGD")
    assert (
        str(load_archive(TASK, "Theirs")["opt_name"][0, 0]) == hparam_set.opt_names[0]
    )
    [row] = status([TASK], [hparam_set])
    assert row.counts["missing"] == hparam_set.num_trials


def test_importing_again_replaces_result_files(tmp_path) -> None:
    path = write(tmp_path / "curves.csv", LONG, long_rows())
    import_curves(path, TASK, "Theirs", optimizer="Opt")
    import_curves(path, TASK, "Others", optimizer="Opt")
    before = result_files()
    assert len(before) == 12
    # An import that was killed before the archive was written.
    delete_archive(TASK, "Theirs")
    import_curves(path, TASK, "Theirs", optimizer="Opt")
    assert len(result_files()) == 12
    # One configuration fewer, and a seed fewer of the other.
    rows = [r for r in long_rows() if r[0] == RATES[0] and r[1] < 2]
    path = write(tmp_path / "fewer.csv", LONG, rows)
    import_curves(path, TASK, "Theirs", optimizer="Opt", overwrite=True)
    assert len(result_files()) == 2 + 6
    # With files of that kind everything of the task is deleted as ever.
    utils.delete_saved_task_data(TASK)
    assert result_files() == []


def test_one_column_for_each_split(tmp_path) -> None:
    rows = [
        [
            rate,
            "mine",
            seed,
            step,
            *(loss(rate, seed, step, s) for s in ("train", "outer_valid", "test")),
        ]
        for rate in RATES
        for seed in SEEDS
        for step in STEPS
    ]
    header = ["hparam/learning_rate", "hparam/kind", "seed", "global_step"]
    path = write(
        tmp_path / "wide.csv", [*header, "train/loss", "valid/loss", "test/loss"], rows
    )
    import_curves(path, TASK, "Wide")
    archive = load_archive(TASK, "Wide")
    check(archive)
    assert archive["opt_name"][1, 0] == "Wide_kindmine_lr0.01"


def test_charts_of_weights_and_biases(tmp_path) -> None:
    files = []
    ours = {"train": "train", "val": "outer_valid", "test": "test"}
    for split, own in ours.items():
        header: list[str] = ["Step"]
        columns: list[list[float]] = [list(STEPS)]
        for rate in RATES:
            for seed in SEEDS:
                values = [loss(rate, seed, step, own) for step in STEPS]
                for ending in ("", "__MIN", "__MAX"):
                    header.append(f"adamw-lr{rate}-s{seed} - {split}/loss{ending}")
                    columns.append([v + (ending != "") for v in values])
        rows = list(zip(*columns, strict=True))
        files.append(write(tmp_path / f"{split}.csv", header, rows))
    pattern = "adamw-lr{learning_rate}-s{seed}"
    import_curves(files, TASK, "Charts", run_name=pattern)
    check(load_archive(TASK, "Charts"))
    with pytest.raises(LoptError, match="is not of the form"):
        import_curves(files, TASK, "Other", run_name="sgd-{seed}")


def test_it_is_compared_as_others_are(tmp_path) -> None:
    path = write(tmp_path / "curves.csv", LONG, long_rows())
    import_curves(path, TASK, "Theirs")
    result = load_set_result(TASK, "Theirs")
    # The lower rate has the lower loss on outer_valid.
    assert result.best.index == 0
    assert result.learning_rates is not None
    assert result.learning_rates.tolist() == list(RATES)
    np.testing.assert_allclose(
        result.best_curves("test")[:, -1],
        [loss(0.001, seed, 100) for seed in SEEDS],
        rtol=1e-6,
    )
    assert result.facts["accelerator_kind"] == "imported"


def test_parquet_and_what_we_export(tmp_path) -> None:
    from learned_optimization.baselines.exporting import to_frame

    ends = [[0.3, 0.4], [0.5, 0.6]]
    write_archive("Ours", "Exported", ends, opt="Opt", seeds=(0, 1))
    frame = to_frame("Ours", "Exported", curves=True)
    frame.to_parquet(tmp_path / "curves.parquet")
    import_curves(str(tmp_path / "curves.parquet"), "Ours", "Again", optimizer="Opt")
    before, after = (load_archive("Ours", name) for name in ("Exported", "Again"))
    for split in ("train", "outer_valid", "test"):
        key = f"eval/{split}/loss"
        np.testing.assert_allclose(before[key], after[key], rtol=1e-6)
    assert before["opt_name"].tolist() == after["opt_name"].tolist()


def test_a_run_that_diverged_may_be_short(tmp_path) -> None:
    rows = long_rows()
    # Of one trial nothing is measured behind the first NaN.
    rows = [r for r in rows if (r[0], r[1], r[2]) != (0.01, 2, 100)]
    for row in rows:
        if row[:3] == [0.01, 2, 50]:
            row[4] = "nan"
    path = write(tmp_path / "curves.csv", LONG[:-1], [row[:-1] for row in rows])
    import_curves(path, TASK, "Short")
    losses = load_archive(TASK, "Short")["eval/test/loss"]
    assert np.isnan(losses).sum() == 2
    assert np.isnan(losses[1, 2, 1:]).all()
    archive = load_archive(TASK, "Short")
    assert archive["diverged_from"].tolist() == [[-1] * 3, [-1, -1, 50]]
    assert archive["status"].tolist() == [["done"] * 3, ["done", "done", "diverged"]]
    [row] = status([TASK], [], list(all_hparam_sets().values()))
    assert (row.counts["done"], row.counts["diverged"]) == (5, 1)


@pytest.mark.parametrize(
    ("header", "rows", "message"),
    [
        (["lr", "loss"], [[1, 2]], "has no column of steps"),
        (["step", "loss"], [[0, 1]], "holds no losses: give it a column split"),
        (LONG, [], "holds no rows"),
        (LONG, [[*r[:2], 1.5, *r[3:]] for r in long_rows()], "row 1: step must be"),
        (LONG, [[*r[:4], "low", 0] for r in long_rows()], "row 1: loss must be a num"),
        (LONG, [[r[0], -1, *r[2:]] for r in long_rows()], "a seed is a whole number"),
        (LONG, long_rows(("train", "test")), "there is no loss on outer_valid"),
        (LONG, [[*r[:2], 1e30, *r[3:]] for r in long_rows()], "0 and below 9,007,199"),
        (LONG, [[r[0], 10**30, *r[2:]] for r in long_rows()], "a seed is a whole numb"),
        (LONG, long_rows()[:-9], "1 of 6 trials are missing, the trial of learning_r"),
        (LONG, long_rows()[:-1], "is not measured at the same steps"),
        (LONG, [[0.1, 0, *r[2:]] for r in long_rows()], "has two values of train/loss"),
        ([*LONG, "lr"], [[*r, 1] for r in long_rows()], "has the column 'lr' twice"),
        (LONG, [r[:-1] for r in long_rows()], "line 2: it has 5 values"),
    ],
)
def test_what_cannot_be_compared_is_refused(tmp_path, header, rows, message) -> None:
    path = write(tmp_path / "curves.csv", header, rows)
    with pytest.raises(LoptError, match=message):
        import_curves(path, TASK, "Theirs")
    assert not (tmp_path / "archives").exists()
    assert result_files() == []


def test_a_large_loss_has_not_diverged(tmp_path) -> None:
    rows = [[*r[:4], 3e38] for r in long_rows()]
    path = write(tmp_path / "large.csv", LONG[:-1], rows)
    import_curves(path, TASK, "Large")
    assert (load_archive(TASK, "Large")["status"] == "done").all()


def test_every_setting_has_a_folder_of_its_own(tmp_path) -> None:
    import pandas as pd

    head = ["hparam/on", *LONG[1:]]
    rows = [["True", *r[1:]] for r in long_rows() if r[0] == RATES[0]]
    text = write(tmp_path / "text.csv", head, rows)
    frame = pd.DataFrame([[True, *r[1:]] for r in rows], columns=pd.Index(head))
    frame.to_parquet(tmp_path / "typed.parquet")
    typed = str(tmp_path / "typed.parquet")
    with pytest.raises(LoptError, match="both called Theirs_onTrue"):
        import_curves([text, typed], TASK, "Theirs")
    rows = [["a/b", *r[1:]] for r in rows]
    path = write(tmp_path / "slash.csv", head, rows)
    with pytest.raises(LoptError, match="names a folder: it must be text without a s"):
        import_curves(path, TASK, "Theirs")
    assert result_files() == []


def test_names_are_checked(tmp_path) -> None:
    path = write(tmp_path / "curves.csv", LONG, long_rows())
    import_curves(path, TASK, "Theirs")
    with pytest.raises(LoptError, match="there is an archive of Theirs on"):
        import_curves(path, TASK, "Theirs")
    import_curves(path, TASK, "Theirs", overwrite=True)
    with pytest.raises(LoptError, match="is a set that is defined here"):
        import_curves(path, TASK, "AdamLR_1000_R5")
    with pytest.raises(LoptError, match="names a file"):
        import_curves(path, TASK, "a/b")
    with pytest.raises(LoptError, match=r"must end in \.csv or \.parquet"):
        import_curves("curves.xlsx", TASK, "Theirs2")
    with pytest.raises(LoptError, match="has hyper-parameters and the seed in braces"):
        import_curves(path, TASK, "Theirs2", run_name="adamw")


def test_a_parquet_file_that_holds_much_is_refused(tmp_path, monkeypatch) -> None:
    import pyarrow
    import pyarrow.parquet as parquet

    monkeypatch.setattr(limits, "MAX_SMALL_READ_BYTES", 1_000)
    path = tmp_path / "bomb.parquet"
    table = pyarrow.table({"step": [1] * 5_000, "run": ["x" * 1_000] * 5_000})
    parquet.write_table(table, path)
    assert path.stat().st_size < 20_000
    with pytest.raises(TooLargeError, match="it holds more than"):
        import_curves(str(path), TASK, "Theirs")
