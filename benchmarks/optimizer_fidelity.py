"""Our optimizers beside recorded steps of the published ones.

The golden file holds 30 steps of each published optimizer on a few parameters, from
the same gradients. Its arrays are `init@NAME` and `grad@NAME` (the gradients
`[30, ...]`), `loss` `[30]`, and `OPTIMIZER|SETTING@NAME` `[30, ...]`, the parameters
after each update. All were stepped with `big` too, which is recorded for Shampoo alone
and after some updates, `OPTIMIZER|SETTING@big@STEP`; its gradients are drawn here, as
they were there.

    python benchmarks/optimizer_fidelity.py golden_optimizers.npz
"""

from __future__ import annotations

import argparse
import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from learned_optimization.errors import LoptError
from learned_optimization.optimizers.base import Optimizer, get_optimizer
from learned_optimization.optimizers.gradient_accumulator import GradientAccumulator
from learned_optimization.optimizers.gradient_clip import GradientClipOptimizer
from learned_optimization.optimizers.grafting import GraftedOptimizer
from learned_optimization.optimizers.learning_rate_schedules import (
    CosineLearningRateSchedule,
)
from learned_optimization.optimizers.nadamw import NAdamW
from learned_optimization.optimizers.opt_list import OptList
from learned_optimization.optimizers.optax_opts import SGD
from learned_optimization.optimizers.optimizer_wrappers import (
    ExtendTimeWrapper,
    WeightDecayWrapper,
)
from learned_optimization.optimizers.shampoo import Shampoo

Arrays = Mapping[str, np.ndarray]

BIG = "big"
_DRAWN = ("m", "v", "s", "c", BIG, "z")
"""The parameters in the order in which the golden run drew their gradients."""


@dataclasses.dataclass(frozen=True)
class OptimizerComparison:
    """How far one optimizer's parameters are from the golden ones.

    Attributes:
      key: `OPTIMIZER|SETTING`.
      worst: largest difference of any entry after any step, as a share of how far
        the golden entries of its array have moved at most by then; nan if ours or
        theirs is not finite, and 0 where nothing has moved in either.
      where: the parameter and the step, counted from 0, of the worst.
    """

    key: str
    worst: float
    where: str


def compare_optimizers(golden: Arrays) -> list[OptimizerComparison]:
    """Return step each optimizer of the golden file and compare, in the order of names.

    Args:
      golden: the arrays of the golden file.
    """
    return [compare_optimizer(golden, key) for key in golden_keys(golden)]


def golden_keys(golden: Arrays) -> list[str]:
    """Return every `OPTIMIZER|SETTING` of the golden arrays, sorted."""
    return sorted({name.partition("@")[0] for name in golden if "|" in name})


def compare_optimizer(golden: Arrays, key: str) -> OptimizerComparison:
    """Return step one optimizer and compare.

    Raises:
      LoptError: if the key names no optimizer or setting known here.
    """
    steps = num_steps(golden)
    opt = make_optimizer(key, steps)
    return compare_steps(golden, key, run(opt, *problem(golden), steps))


def compare_steps(golden: Arrays, key: str, got: Arrays) -> OptimizerComparison:
    """Compare parameters after each step with the golden ones.

    Args:
      golden: the arrays of the golden file.
      key: `OPTIMIZER|SETTING`.
      got: parameter to its values after each step, `[steps, ...]`.
    """
    worst, where = 0.0, "nowhere"
    for name, (steps, want) in recorded(golden, key).items():
        want = np.asarray(want, np.float64)
        start = np.asarray(golden[f"init@{name}"], np.float64)
        axes = tuple(range(1, want.ndim))
        moved = np.max(np.abs(want - start), axis=axes)
        apart = np.max(np.abs(got[name][steps] - want), axis=axes)
        # What has not moved must not have moved here either.
        with np.errstate(divide="ignore", invalid="ignore"):
            shares = np.where(apart == 0.0, 0.0, apart / np.maximum.accumulate(moved))
        # argmax finds a nan before any number.
        step = int(np.argmax(shares))
        if not shares[step] <= worst:
            worst, where = float(shares[step]), f"{name} after step {steps[step]}"
    return OptimizerComparison(key, worst, where)


def recorded(golden: Arrays, key: str) -> dict[str, tuple[list[int], np.ndarray]]:
    """Return the golden parameters: name to the steps recorded and their values."""
    found: dict[str, dict[int, np.ndarray]] = {}
    for name in golden:
        owner, _, rest = name.partition("@")
        if owner != key:
            continue
        parameter, _, step = rest.partition("@")
        values = golden[name]
        after = {int(step): values} if step else dict(enumerate(values))
        found.setdefault(parameter, {}).update(after)
    return {
        parameter: (sorted(after), np.stack([after[t] for t in sorted(after)]))
        for parameter, after in found.items()
    }


def num_steps(golden: Arrays) -> int:
    """Return how many updates the golden runs made."""
    return len(golden["loss"])


def problem(
    golden: Arrays,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], np.ndarray]:
    """Return initial parameters, gradients of each step `[steps, ...]`, losses."""
    names = [name.partition("@")[2] for name in golden if name.startswith("init@")]
    params = {name: golden[f"init@{name}"] for name in names}
    grads = {name: golden[f"grad@{name}"] for name in names if name != BIG}
    if BIG in names:
        grads[BIG] = _gradients_of_big(golden)
    return params, grads, golden["loss"]


def _gradients_of_big(golden: Arrays) -> np.ndarray:
    steps = []
    for t in range(num_steps(golden)):
        draw = np.random.RandomState(100 + t)
        for name in _DRAWN:
            init = golden[f"init@{name}"]
            grad = (0.3 * draw.randn(*init.shape) + 0.2 * init) * (1 + 0.5 * np.sin(t))
            if name == BIG:
                steps.append(np.float32(grad))
                break
    return np.stack(steps)


def run(
    opt: Optimizer,
    params: Arrays,
    grads: Arrays,
    losses: np.ndarray,
    steps: int,
) -> dict[str, np.ndarray]:
    """Return the parameters after each update, `[steps, ...]`, in float32."""
    update = jax.jit(opt.update)
    state = opt.init(params, num_steps=steps, key=jax.random.PRNGKey(0))
    after = []
    for t in range(steps):
        now = {name: grad[t] for name, grad in grads.items()}
        state = update(state, now, loss=losses[t], key=jax.random.PRNGKey(t))
        after.append(jax.tree.map(np.asarray, opt.get_params(state)))
    return jax.tree.map(lambda *values: np.stack(values), *after)


def make_optimizer(key: str, steps: int) -> Optimizer:
    """Return the optimizer that a key of the golden file names.

    `Adam|lr0.1`, `AdamW|wd0.1` and `RMSProp|mom0.9_nesterov` are optimizers with the
    settings given, parts joined by `_`, and for the others the published defaults;
    a learning rate that is not given is 0.01, or 0.1 for Lars. The optimizers that
    step another one have settings of their own, see `_WRAPPERS`.

    Args:
      key: `OPTIMIZER|SETTING`.
      steps: length of the run.

    Raises:
      LoptError: if there is no such optimizer or setting.
    """
    name, _, setting = key.partition("|")
    if name in _WRAPPERS:
        return _WRAPPERS[name](setting, steps)
    cls: Any = get_optimizer(name)
    fields = {f.name for f in dataclasses.fields(cls)}
    hparams: dict[str, Any] = {}
    if "learning_rate" in fields:
        hparams["learning_rate"] = 0.1 if name == "Lars" else 0.01
    hparams |= _parse(key, setting)
    unknown = hparams.keys() - fields
    if unknown:
        raise LoptError(f"{key}: {name} has no {', '.join(sorted(unknown))}.")
    return cls(**hparams)


_SHORT = {
    "lr": "learning_rate",
    "wd": "weight_decay",
    "mom": "momentum",
    "m": "momentum",
    "b1": "b1",
    "b2": "b2",
    "beta1": "beta1",
    "beta2": "beta2",
    "eps": "eps",
    "epsilon": "epsilon",
    "d": "decay",
    "decay": "decay",
}


def _parse(key: str, setting: str) -> dict[str, Any]:
    hparams: dict[str, Any] = {}
    for part in setting.split("_"):
        if part == "default":
            continue
        if part == "nesterov":
            hparams["nesterov"] = True
            continue
        # As few letters as possible: `b20.999` is b2 = 0.999 where there is a dot.
        for short in sorted(_SHORT, key=len, reverse=True):
            value = part.removeprefix(short).lstrip("=")
            if part.startswith(short) and _is_number(value):
                hparams[_SHORT[short]] = float(value)
                break
        else:
            raise LoptError(f"{key}: the setting {part!r} is not known here.")
    return hparams


def _is_number(text: str) -> bool:
    return re.fullmatch(r"-?\d+(\.\d*)?(e-?\d+)?", text) is not None


def _nadamw(setting: str, steps: int) -> Optimizer:
    del steps
    kinds: dict[str, dict[str, Any]] = {
        "default": {},
        "wd": {"adamw_weight_decay": 0.1, "use_nesterov": False},
        "l2": {"l2_weight_decay": 0.1},
        "cosine": {"learning_rate": CosineLearningRateSchedule(1e-2)},
    }
    if setting not in kinds:
        return NAdamW(**{"learning_rate": 1e-2, **_parse(f"NAdamW|{setting}", setting)})
    return NAdamW(**{"learning_rate": 1e-2, **kinds[setting]})


def _inside(name: str, rate: float | None = None) -> Optimizer:
    """Return the optimizer inside another one: SGD by 0.1, others by 0.01."""
    if rate is None:
        rate = 0.1 if name == "SGD" else 1e-2
    return get_optimizer(name)(learning_rate=rate)  # pyright: ignore[reportCallIssue]


def _split(setting: str) -> tuple[str, float | None]:
    """Split `Adam4` into the name and the number, None where there is none."""
    match = re.fullmatch(r"([A-Za-z]\w*?)_?(\d+(?:\.\d+)?)?", setting)
    if match is None:
        raise LoptError(f"the setting {setting!r} is not known here.")
    return match[1], None if match[2] is None else float(match[2])


def _accumulator(setting: str, steps: int) -> Optimizer:
    del steps
    name, number = _split(setting)
    # One after the other, SGD too is recorded with 1e-2.
    return GradientAccumulator(opt=_inside(name, 1e-2), num_average=int(number or 1))


def _grafted(setting: str, steps: int) -> Optimizer:
    del steps
    magnitude, _, direction = setting.partition("_")
    return GraftedOptimizer(_inside(magnitude), _inside(direction))


def _clipped(setting: str, steps: int) -> Optimizer:
    del steps
    return GradientClipOptimizer(opt=SGD(0.1), grad_clip=float(setting))


def _extended(setting: str, steps: int) -> Optimizer:
    del steps
    name, factor = _split(setting)
    inner = OptList(idx=0) if name == "OptList" else _inside(name)
    factor = 2.0 if factor is None else factor
    return ExtendTimeWrapper(opt=inner, warp_fn=lambda t: t * factor)


def _decayed(setting: str, steps: int) -> Optimizer:
    del steps
    name, decay = _split(setting)
    decay = 0.1 if decay is None else decay
    return WeightDecayWrapper(opt=_inside(name), weight_decay=decay)


_WRAPPERS: dict[str, Callable[[str, int], Optimizer]] = {
    "NAdamW": _nadamw,
    "OptList": lambda setting, steps: OptList(idx=int(setting)),
    "Shampoo": lambda setting, steps: Shampoo(
        learning_rate=1e-2, block_size=128, graft_type=setting
    ),
    "GradientAccumulator": _accumulator,
    "GradientClip": _clipped,
    "Grafted": _grafted,
    "ExtendTime": _extended,
    "WeightDecay": _decayed,
}


def main() -> None:
    """Print a line per optimizer: the worst difference and where it is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("golden", help="the file of golden arrays, an .npz")
    with np.load(parser.parse_args().golden) as file:
        golden = dict(file)
    for row in compare_optimizers(golden):
        print(f"{row.key:36} {row.worst:.1e}  {row.where}")


if __name__ == "__main__":
    main()
