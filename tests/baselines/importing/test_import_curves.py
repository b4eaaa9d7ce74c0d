"""Curves of other frameworks as archives, compared with our own."""

import csv

import numpy as np
import pytest

from learned_optimization.baselines import load_archive
from learned_optimization.baselines.analysis.set_results import load_set_result
from learned_optimization.baselines.importing import import_curves
from learned_optimization.errors import LoptError
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
