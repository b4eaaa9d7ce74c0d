"""Archives with faults: each is an odd one that may lie beside good ones.

A fault changes the arrays of an archive before it is written, or its file afterwards.
Of `STOPS` nothing can be used; the others are archives that can be read, of sets that
trained badly or oddly.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from learned_optimization.baselines import utils
from tests.baselines.archives import SPLITS, gin_text

Arrays = dict[str, np.ndarray]

LOSSES = tuple(f"eval/{split}/loss" for split in SPLITS)


def change_losses(change: Callable[[np.ndarray], np.ndarray]) -> Callable:
    def fault(arrays: Arrays) -> Arrays:
        return arrays | {key: change(arrays[key].copy()) for key in LOSSES}

    return fault


def at_start(value: float) -> Callable:
    def change(losses):
        losses[..., 0] = value
        return losses

    return change_losses(change)


def evaluations(keep: slice) -> Callable:
    def fault(arrays: Arrays) -> Arrays:
        return {
            key: values[..., keep] if values.ndim == 3 else values
            for key, values in arrays.items()
        }

    return fault


def trials(configs: slice, seeds: slice) -> Callable:
    return lambda arrays: {k: v[configs, seeds] for k, v in arrays.items()}


def as_type(dtype: str, kinds: str = "f") -> Callable:
    return lambda arrays: {
        k: v.astype(dtype) if v.dtype.kind in kinds else v for k, v in arrays.items()
    }


def without(key: str) -> Callable:
    return lambda arrays: {k: v for k, v in arrays.items() if k != key}


def rates(*values: object) -> Callable:
    """The learning rates that its trials record."""

    def fault(arrays: Arrays) -> Arrays:
        shape = arrays["opt_name"].shape
        texts = [
            gin_text("Opt", learning_rate=values[i % len(values)])
            for i in range(shape[0])
        ]
        column = np.asarray(texts)[:, None]
        return arrays | {"gin_operative_config": np.broadcast_to(column, shape)}

    return fault


def one_seed_diverges(losses):
    losses[:, 0, losses.shape[-1] // 2 :] = np.nan
    return losses


def never_starts_and_one_diverges(losses):
    losses[..., 0] = np.inf
    return one_seed_diverges(losses)


def barely_trained(losses):
    """What the seeds begin at differs by more than they improve."""
    spread = np.linspace(-0.05, 0.05, losses.shape[1])[:, None]
    falling = np.linspace(0, -0.01, losses.shape[-1])
    return 2.0 + spread + falling + 0 * losses


def different_steps(arrays: Arrays) -> Arrays:
    xs = arrays["eval/xs"].copy()
    xs[-1, -1] += 1
    return arrays | {"eval/xs": xs}


ODD: dict[str, Callable[[Arrays], Arrays]] = {
    "inf at step 0": at_start(np.inf),
    "NaN at step 0": at_start(np.nan),
    "-inf at step 0": at_start(-np.inf),
    "inf at step 0, a seed diverges": change_losses(never_starts_and_one_diverges),
    "nothing finite": change_losses(lambda v: np.full_like(v, np.nan)),
    "everything inf": change_losses(lambda v: np.full_like(v, np.inf)),
    "a seed diverges": change_losses(one_seed_diverges),
    "one seed": trials(slice(None), slice(1)),
    "one configuration": trials(slice(1), slice(None)),
    "one trial": trials(slice(1), slice(1)),
    "two evaluations": evaluations(slice(None, None, 100)),
    "first two evaluations": evaluations(slice(2)),
    "one evaluation": evaluations(slice(1)),
    "begins late": evaluations(slice(5, None)),
    "barely trained": change_losses(barely_trained),
    "barely trained, short": lambda a: change_losses(barely_trained)(
        evaluations(slice(2))(a)
    ),
    "flat": change_losses(lambda v: 0 * v + 2),
    "rises": change_losses(lambda v: v[..., ::-1]),
    "zero": change_losses(lambda v: 0 * v),
    "below zero": change_losses(lambda v: v - 5),
    "near the limit of float32": change_losses(
        lambda v: (1.5e38 * v / v.max() + 1e38).astype(np.float32)
    ),
    "near the limit, both signs": change_losses(
        lambda v: (6e38 * (v / v.max() - 0.5)).astype(np.float32)
    ),
    "tiny": change_losses(lambda v: v * 1e-300),
    "equal seeds": change_losses(lambda v: np.repeat(v[:, :1], v.shape[1], axis=1)),
    "equal configurations": change_losses(
        lambda v: np.repeat(v[:1], v.shape[0], axis=0)
    ),
    "big-endian": lambda a: as_type(">i8", "i")(as_type(">f4")(a)),
    "float16": as_type("<f2"),
    "steps as floats": lambda a: a | {"eval/xs": a["eval/xs"].astype(">f8")},
    "unsigned steps": lambda a: a | {"eval/xs": a["eval/xs"].astype(">u2")},
    "rates that are no numbers": rates("@schedule", None, [1, 2]),
    "rates without end": rates(float("inf"), 0.1, 1.0),
    "rates of 400 digits": rates(10**400, 0.1, 1.0),
    "rates below zero": rates(-0.1, 0.1, 0.0),
    "no settings": lambda a: (
        without("gin_operative_config")(a)
        | {"opt_name": np.full_like(a["opt_name"], "?")}
    ),
    "settings that end": lambda a: (
        a
        | {
            "gin_operative_config": np.full(
                a["opt_name"].shape, "Opt.learning_rate = ("
            )
        }
    ),
}
"""Archives that can be read: name to change."""


def cut(share: float) -> Callable[[Path], None]:
    def fault(path: Path) -> None:
        data = path.read_bytes()
        path.write_bytes(data[: int(share * len(data))])

    return fault


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(bytes(data))


def folder_instead(path: Path) -> None:
    path.unlink()
    path.mkdir()


FILES: dict[str, Callable[[Path], object]] = {
    "cut off": cut(0.6),
    "cut off early": cut(0.01),
    "empty file": cut(0.0),
    "flipped byte": flip,
    "text": lambda path: path.write_text("no archive"),
    "a folder": folder_instead,
}
"""Files that cannot be read: name to change."""

ARRAYS: dict[str, Callable[[Arrays], Arrays]] = {
    **{f"no {key}": without(key) for key in (*LOSSES, "eval/xs", "opt_name")},
    "different steps": different_steps,
    "no trial": trials(slice(0), slice(None)),
    "no seed": trials(slice(None), slice(0)),
    "no evaluation": evaluations(slice(0)),
    "losses of other trials": lambda a: a | {LOSSES[2]: a[LOSSES[2]][:1]},
    "losses of other steps": lambda a: a | {LOSSES[2]: a[LOSSES[2]][..., :7]},
    "losses in words": lambda a: a | {LOSSES[1]: a[LOSSES[1]].astype(str)},
    "steps that fall": lambda a: a | {"eval/xs": a["eval/xs"][..., ::-1]},
    "newer": lambda a: a | {"schema_version": np.full(a["opt_name"].shape, 99)},
}
"""Arrays of which nothing can be used: name to change."""

STOPS = (*FILES, *ARRAYS)
"""Faults for which a set is left out as a whole."""

ALL = (*ODD, *STOPS)


def inject(fault: str, task: str, set_name: str) -> None:
    """Give an archive that is there a fault."""
    path = Path(utils.get_baseline_archive_path(task, set_name))
    if fault in FILES:
        FILES[fault](path)
        return
    change = ODD.get(fault) or ARRAYS[fault]
    utils.write_archive(
        task, set_name, change(dict(utils.load_archive(task, set_name)))
    )
