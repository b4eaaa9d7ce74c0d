"""Archives of sets that nobody trained, whose ends are known."""

import numpy as np

from learned_optimization.baselines import utils

SPLITS = ("train", "outer_valid", "test")
RATES = (0.01, 0.1, 1.0)


def curves_to(final, num_evals=101, start=2.0, decay=0.1, noise=0.0, seed=0):
    """Losses `[configs, seeds, evals]` from `start`, exponentially, to `final`."""
    final = np.asarray(final, float)[..., None]
    fallen = np.exp(-decay * np.arange(num_evals))
    fallen = (fallen - fallen[-1]) / (1 - fallen[-1])
    losses = final + (start - final) * fallen
    rng = np.random.default_rng(seed)
    wiggle = noise * rng.standard_normal(losses.shape)
    wiggle[..., -1] = 0
    # A run that is to diverge begins as the others do.
    never = np.isnan(final)[..., 0]
    losses[never] = np.where(np.arange(num_evals) < 5, start, np.nan)
    return losses + wiggle


def gin_text(opt, **hparams):
    """The gin text that a trial of an optimizer records."""
    lines = [f"{opt}.{name} = {value!r}" for name, value in hparams.items()]
    return "\n".join([f"inner_train_task.opt = @{opt}()", *lines])


def write_archive(
    task, set_name, final, opt="Opt", seeds=None, changes=None, facts=(), **curves
):
    """Write an archive whose losses end at `final`, `[configs, seeds]`.

    `changes` gives splits of their own ends; others end as `test` does.
    """
    final = np.asarray(final, float)
    ends = dict.fromkeys(SPLITS, final) | (changes or {})
    losses = {split: curves_to(end, **curves) for split, end in ends.items()}
    shape = losses["test"].shape
    rates = RATES[: shape[0]] if shape[0] <= len(RATES) else range(1, shape[0] + 1)
    names = np.asarray([f"{opt}_lr{rate}" for rate in rates])
    arrays = {
        "eval/xs": np.broadcast_to(np.arange(shape[2]) * 10, shape),
        "opt_name": np.broadcast_to(names[:, None], shape[:2]),
        "gin_operative_config": np.broadcast_to(
            np.asarray([gin_text(opt, learning_rate=rate) for rate in rates])[:, None],
            shape[:2],
        ),
        **{f"eval/{split}/loss": values for split, values in losses.items()},
        **{
            key: np.broadcast_to(value, shape[:2]) for key, value in dict(facts).items()
        },
    }
    if seeds is not None:
        arrays["seed"] = np.broadcast_to(np.asarray(seeds), shape[:2])
    utils.write_archive(task, set_name, arrays)


FACTS = {
    "accelerator_platform": "cpu",
    "accelerator_kind": "cpu",
    "accelerator_devs": np.int64(2),
    "versions": "jax==1.2.3\noptimizer-baselines==0.1.0",
    "synthetic_data": np.bool_(False),
    "timing/run_seconds_per_trial": 2.002,
}


def write_of_set(task, hparam_set, best=0.5, **facts):
    """Write an archive of a set's own trials, whose losses nobody trained.

    Of its configurations the one in the middle is the best, and ends at `best`.
    """
    places = np.abs(np.arange(hparam_set.num_configs) - hparam_set.num_configs // 2)
    noise = np.random.default_rng(hash_of(task)).standard_normal(hparam_set.repetitions)
    text = [gin_text(hparam_set.optimizer, **h) for h in hparam_set.hparams]
    write_archive(
        task,
        hparam_set.name,
        best + 0.1 * places[:, None] + 0.004 * noise,
        seeds=hparam_set.seeds,
        facts={
            **FACTS,
            "opt_name": np.asarray(hparam_set.opt_names)[:, None],
            "gin_operative_config": np.asarray(text)[:, None],
            **facts,
        },
        num_evals=hparam_set.plan.num_evals,
    )


def write_three(task="T", num_seeds=5, **more):
    """Three sets: Adam, one that is better beyond doubt, one like Adam but noisier.

    Returns their names.
    """
    rng = np.random.default_rng(hash_of(task))
    adam = 0.5 + 0.004 * rng.standard_normal((3, num_seeds))
    adam += np.asarray([[0.3], [0.0], [0.4]])
    better = adam - 0.2 + 0.001 * rng.standard_normal(adam.shape)
    alike = adam + 0.03 * rng.standard_normal(adam.shape)
    names = ["AdamLR_1000_R5", "SGDMLR_1000_R5", "LambLR_1000_R5"]
    for name, final in zip(names, (adam, better, alike), strict=True):
        more.setdefault("facts", FACTS)
        write_archive(
            task, name, final, opt=name.split("LR")[0], seeds=range(num_seeds), **more
        )
    return names


def hash_of(text):
    """A seed that is the same in every process."""
    return sum(ord(c) for c in text)
