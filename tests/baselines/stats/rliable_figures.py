"""What rliable says of some scores; run by test_rliable.py where rliable is installed.

python rliable_figures.py SCORES.npz FIGURES.json
"""

import json
import sys

import numpy as np
from rliable import library, metrics  # pyright: ignore[reportMissingImports]

AGGREGATES = {
    "iqm": metrics.aggregate_iqm,
    "median": metrics.aggregate_median,
    "mean": metrics.aggregate_mean,
    "optimality_gap": metrics.aggregate_optimality_gap,
}


def interval(function, scores, reps, task_bootstrap=False):
    _, ends = library.get_interval_estimates(
        {"scores": scores},
        lambda *x: np.array([function(*x)]),
        task_bootstrap=task_bootstrap,
        reps=reps,
        random_state=np.random.RandomState(0),
    )
    return ends["scores"][:, 0]


def main(scores_path, figures_path):
    with np.load(scores_path) as file:
        data = dict(file)
    reps, fewer_reps = int(data.pop("reps")), int(data.pop("fewer_reps"))
    taus, x, y = data.pop("taus"), data.pop("x"), data.pop("y")
    figures = {}
    for name, scores in data.items():
        for aggregate, function in AGGREGATES.items():
            figures[f"{name}/{aggregate}"] = function(scores)
        profiles, _ = library.create_performance_profile(
            {"scores": scores}, taus, reps=2
        )
        figures[f"{name}/profile"] = profiles["scores"]
    for aggregate, function in AGGREGATES.items():
        figures[f"interval/{aggregate}"] = interval(function, x, reps)
    iqm = metrics.aggregate_iqm
    figures["interval/iqm over tasks"] = interval(iqm, x, reps, task_bootstrap=True)
    figures["improvement"] = metrics.probability_of_improvement(x, y)
    improvement = metrics.probability_of_improvement
    figures["interval/improvement"] = interval(improvement, (x, y), fewer_reps)
    lists = {name: np.asarray(values).tolist() for name, values in figures.items()}
    with open(figures_path, "w") as file:
        json.dump(lists, file, indent=0)


if __name__ == "__main__":
    main(*sys.argv[1:])
