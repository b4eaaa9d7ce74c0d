"""A plain PyTorch loop, imported, against the same task trained here."""

import csv

import numpy as np
import pytest

from learned_optimization.baselines.analysis.set_results import load_set_result
from learned_optimization.baselines.importing import import_curves
from learned_optimization.baselines.results import archiving
from learned_optimization.baselines.sets.define import hparam_set
from learned_optimization.baselines.sweeps.sweep import run_sweep
from learned_optimization.tasks.base import get_task_from_name

pytestmark = pytest.mark.slow
TASK = "ImageMLP_FashionMnist8_Relu32"
RATES, SEEDS, STEPS, EVAL_EVERY = (0.001, 0.01), (0, 1, 2), 200, 50


def write_curves(torch, path) -> None:
    """Train with PyTorch alone, and write what it measures as most people do."""
    datasets = get_task_from_name(TASK).datasets
    assert datasets is not None
    with open(path, "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["lr", "seed", "step", "train/loss", "val/loss", "test/loss"])
        for rate in RATES:
            for seed in SEEDS:
                rows.writerows(train(torch, datasets, rate, seed))


def train(torch, datasets, rate: float, seed: int):
    torch.manual_seed(seed)
    layers = [torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10)]
    for layer in (layers[0], layers[2]):
        torch.nn.init.trunc_normal_(layer.weight, std=layer.in_features**-0.5)
        torch.nn.init.zeros_(layer.bias)
    model, loss_of = torch.nn.Sequential(*layers), torch.nn.functional.cross_entropy
    opt = torch.optim.Adam(model.parameters(), lr=rate)
    # Other batches than those of a seed here.
    batches = {
        s: datasets.split(s, 100 + seed) for s in ("train", "outer_valid", "test")
    }

    def loss(split: str):
        batch = next(batches[split])
        images = torch.from_numpy(batch["image"]).flatten(1)
        return loss_of(model(images), torch.from_numpy(batch["label"]).long())

    for step in range(STEPS + 1):
        if step % EVAL_EVERY == 0:
            with torch.no_grad():
                means = [
                    np.mean([loss(split).item() for _ in range(10)])
                    for split in batches
                ]
            yield [rate, seed, step, *means]
        opt.zero_grad()
        loss("train").backward()
        opt.step()


def test_it_is_where_ours_is(torch, tmp_path) -> None:
    write_curves(torch, tmp_path / "plain.csv")
    import_curves(str(tmp_path / "plain.csv"), TASK, "PlainTorch_200_R3")
    ours = hparam_set(
        "Ours_200_R3",
        "Adam",
        num_steps=STEPS,
        space={"learning_rate": list(RATES)},
        fixed={"epsilon_root": 0.0},
        seeds=len(SEEDS),
        eval_every=EVAL_EVERY,
        eval_batches=10,
    )
    run_sweep([TASK], [ours])
    archiving.archive(TASK, ours)
    theirs, mine = (
        load_set_result(TASK, name).of_last_evaluation()
        for name in ("PlainTorch_200_R3", "Ours_200_R3")
    )
    assert theirs.best.index == mine.best.index == 1
    # Means over three seeds, three evaluations and ten batches.
    for split in ("train", "outer_valid", "test"):
        got, want = (r.best_curves(split).mean(axis=0) for r in (theirs, mine))
        np.testing.assert_allclose(got[0], want[0], rtol=0.05, err_msg=split)
        assert got[2:].mean() == pytest.approx(want[2:].mean(), rel=0.06), split
