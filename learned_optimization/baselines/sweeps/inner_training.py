"""Makes a trial from the arguments gin binds to `inner_train_task`, and trains it."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple, ParamSpec, TypeVar

import gin
import jax

from learned_optimization import configuration, filesystem, numerics
from learned_optimization.baselines.folder_names import check_folder_name, present_name
from learned_optimization.baselines.layout import get_root_baseline_dir
from learned_optimization.baselines.results.claims import Claims, NoClaim
from learned_optimization.baselines.results.files import write_baseline_result
from learned_optimization.baselines.results.format import Result
from learned_optimization.baselines.results.matching import check_jax_config, scan
from learned_optimization.baselines.results.run_notes import noted
from learned_optimization.baselines.sweeps.checkpoints import grid_name
from learned_optimization.baselines.sweeps.finished import write_found
from learned_optimization.baselines.sweeps.grids import TrialGrid
from learned_optimization.baselines.sweeps.trials import Trial
from learned_optimization.configurable import configurable
from learned_optimization.errors import LoptError, check_at_least
from learned_optimization.eval_training import Device, RunPlan
from learned_optimization.optimizers.base import Optimizer, check_hparams, get_optimizer
from learned_optimization.optimizers.one_update import check_one_update_once
from learned_optimization.tasks.base import Task, get_task_from_name
from learned_optimization.training.backend import local_devices

# jax keeps the lowest 32 bits of a seed: a larger one would repeat another's.
_NUM_SEEDS = 1 << 32

_HOME, _GIN_NAME = "learned_optimization.baselines.run_trainer", "inner_train_task"

_P = ParamSpec("_P")
_R = TypeVar("_R")


def _recorded_alone(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Record what gin does for a call apart from what it did before."""

    @functools.wraps(function)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        with configuration.own_operative_config():
            return function(*args, **kwargs)

    return call


# Bindings of `inner_train_task.*` serve for two functions, of which gin itself calls
# the one that is defined last.
_bound_by_gin = configurable(
    _HOME, name=_GIN_NAME, redefine=True, around=_recorded_alone
)


class _Names(NamedTuple):
    """Names to record, where they are given."""

    task_name: str | None
    eval_task_name: str | None
    opt_name: str | None


@_bound_by_gin
def make_trial(
    task: Task | str,
    opt: Optimizer | str,
    num_steps: int,
    eval_every: int = 10,
    eval_batches: int = 5,
    last_eval_batches: int = 10,
    eval_task: Task | str | None = None,
    task_name: str | None = None,
    eval_task_name: str | None = None,
    opt_name: str | None = None,
    device: Device | str | None = None,
    seed: int | None = None,
) -> Trial:
    """Make the trial that `inner_train_task` would train, without training it.

    The arguments are those of `inner_train_task`, and gin's bindings of
    `inner_train_task.*` serve for those left out here as well.

    Returns:
      The trial. Its gin configuration is what gin used for this trial alone.

    Raises:
      LoptError: if an argument is wrong.
    """
    plan = RunPlan(num_steps, eval_every, eval_batches, last_eval_batches)
    names = _Names(task_name, eval_task_name, opt_name)
    trial = _make(task, opt, plan, eval_task, names, device, seed)
    return trial if seed is not None else _with_next_seed(trial)


@_bound_by_gin
def inner_train_task(
    task: Task | str,
    opt: Optimizer | str,
    num_steps: int,
    eval_every: int = 10,
    eval_batches: int = 5,
    last_eval_batches: int = 10,
    eval_task: Task | str | None = None,
    task_name: str | None = None,
    eval_task_name: str | None = None,
    opt_name: str | None = None,
    device: Device | str | None = None,
    seed: int | None = None,
) -> Result:
    """Train one trial and write its result file.

    Args:
      task: the task, or the name of a fixed task.
      opt: the optimizer, or the name of one (with its default setting).
      num_steps: number of the last update, counted from 0.
      eval_every: updates between evaluations.
      eval_batches: batches of each split in an evaluation.
      last_eval_batches: the same, at `num_steps`.
      eval_task: the task evaluated; `task` if None. Results of another one are
        stored under `<task_name>___<eval_task_name>`.
      task_name: name to store under; if None, that of the function gin calls for
        `task`, whatever its scope; the task's own where gin has no part in it.
      eval_task_name: name to record; if None, as `task_name`, of `eval_task`.
      opt_name: name to store under; the optimizer's own if None.
      device: a jax device, or text such as `"cpu:0"`; jax's choice if None.
      seed: decides initial parameters, data order and all other random numbers. If
        None, the lowest that has no result under these names and this length yet, and
        that no other process trains, so that whoever calls this five times, one after
        another or at once, trains five seeds.

    Returns:
      What the result file holds.

    Raises:
      LoptError: if an argument is wrong, the task's data is not available, or the
        result directory cannot be written, or holds results of this setting under
        another configuration of jax; nothing is written then.
    """
    plan = RunPlan(num_steps, eval_every, eval_batches, last_eval_batches)
    names = _Names(task_name, eval_task_name, opt_name)
    trial = _make(task, opt, plan, eval_task, names, device, seed)
    trial.opt.prepare()
    filesystem.check_writable(get_root_baseline_dir())
    entries = scan([trial.save_dir])[trial.save_dir]
    check_jax_config(trial.save_dir, entries, numerics.record())
    local_devices()
    with _claimed(trial, any_seed=seed is None) as trial:
        grid = TrialGrid([[trial]])
        with noted(grid_name(grid), grid.places):
            [(_, result)] = grid.run()
            write_baseline_result(result)
    return result


def configured_trial() -> Trial:
    """Make the trial that the global gin configuration describes.

    Raises:
      LoptError: naming what gin has no value for, or if a value is wrong.
    """
    return configuration.call_bound(make_trial, _GIN_NAME)


def _make(
    task: Task | str,
    opt: Optimizer | str,
    plan: RunPlan,
    eval_task: Task | str | None,
    names: _Names,
    device: Device | str | None,
    seed: int | None,
) -> Trial:
    gin_text = gin.operative_config_str()
    task = _as_task("task", task)
    task_name = _as_folder(
        "task_name", names.task_name, _name_of(task, "task", gin_text)
    )
    if eval_task is None:
        eval_task, default = task, task_name
    else:
        eval_task = _as_task("eval_task", eval_task)
        default = _name_of(eval_task, "eval_task", gin_text)
    eval_task_name = _as_folder("eval_task_name", names.eval_task_name, default)
    if eval_task is not task:
        folder = f"{task_name}___{eval_task_name}"
        task_name = _as_folder("task_name", folder, folder)
    opt = _as_optimizer(opt)
    check_one_update_once(opt, task, plan.num_steps)
    check_at_least("seed", 0 if seed is None else seed, 0)
    if seed is not None and seed >= _NUM_SEEDS:
        raise LoptError(f"seed must be below {_NUM_SEEDS}, got {seed}.")
    return Trial(
        task=task,
        eval_task=eval_task,
        task_name=task_name,
        eval_task_name=eval_task_name,
        opt=opt,
        opt_name=_as_folder("opt_name", names.opt_name, present_name(opt.name)),
        plan=plan,
        seed=seed or 0,
        device=find_device(device),
        gin_operative_config=gin_text,
    )


@contextmanager
def _claimed(trial: Trial, any_seed: bool) -> Iterator[Trial]:
    """Claim a trial within the block.

    Args:
      trial: the trial.
      any_seed: whether another seed than the trial's will do: then it gets the lowest
        that has no result, and that nobody trains at the moment.

    Yields:
      The trial claimed. With a seed that was asked for it is trained in any case.
    """
    claims, taken = Claims(), set[int]()
    write_found({trial.save_dir: [trial]}, claims)
    while True:
        wanted = _with_next_seed(trial, taken) if any_seed else trial
        claim = claims.take([(wanted.save_dir, wanted.seed)])
        if claim is None and any_seed:
            taken.add(wanted.seed)
            continue
        with claim or NoClaim():
            # Its result may have been written before it was claimed.
            if any_seed and _with_next_seed(trial, taken).seed != wanted.seed:
                continue
            yield wanted
            return


def _with_next_seed(trial: Trial, taken: Collection[int] = ()) -> Trial:
    """Return the trial with the lowest seed that has no result and is not taken."""
    entries = scan([trial.save_dir])[trial.save_dir]
    have = {entry.seed for entry in entries if entry.status != "bad"} | {*taken}
    seed = next(seed for seed in itertools.count() if seed not in have)
    # The recorded configuration trains this trial again, and not the next one.
    text = trial.gin_operative_config.replace(
        "inner_train_task.seed = None", f"inner_train_task.seed = {seed}"
    )
    return replace(trial, seed=seed, gin_operative_config=text)


def _as_task(argument: str, value: Any) -> Task:
    if isinstance(value, str):
        return get_task_from_name(value)
    if not isinstance(value, Task):
        raise LoptError(
            f"{argument} must be a task, e.g. @ImageMLP_FashionMnist8_Relu32() in gin, "
            f"or the name of one, got {value!r}."
        )
    return value


def _name_of(task: Task, argument: str, gin_text: str) -> str:
    """Return the name of the function gin makes a task with, or the task's own."""
    parameter, name = f"{_GIN_NAME}.{argument}", None
    if configuration.is_operative(parameter, gin_text):
        name = configuration.reference_name(parameter)
    return name or task.name


def _as_optimizer(value: Any) -> Optimizer:
    if isinstance(value, str):
        return get_optimizer(value)()
    if not isinstance(value, Optimizer):
        raise LoptError(
            "opt must be an optimizer, e.g. @Adam() in gin, or the name of one, "
            f"got {value!r}."
        )
    check_hparams(value)
    return value


def _as_folder(argument: str, value: Any, default: str) -> str:
    return check_folder_name(argument, default if value is None else value)


def find_device(device: Device | str | None) -> Device | None:
    """Return the device of that name.

    Args:
      device: a device, `"<platform>"` or `"<platform>:<index>"`, or None.

    Raises:
      LoptError: listing the devices there are, if there is no such device.
    """
    if device is None or isinstance(device, jax.Device):
        return device
    if isinstance(device, str):
        platform, _, index = device.partition(":")
        try:
            candidates = jax.local_devices(backend=platform.lower())
        except RuntimeError:
            # No such platform on this machine.
            candidates = []
        for candidate in candidates:
            if index in ("", str(candidate.id)):
                return candidate
    have = ", ".join(f"{d.platform}:{d.id}" for d in local_devices())
    raise LoptError(f"no device {device!r}: this machine has {have}.")
