"""A meta-training run in a folder: it can be stopped, and goes on bit for bit.

The folder holds `params` and `config.gin`, the published files of the best
meta-parameters so far; `meta.curves`, in the form of a result file; `checkpoint.npz`
while the run is not at its end; and `adam.json`, the baseline of the held-out score.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import jax
import numpy as np

from learned_optimization import filesystem
from learned_optimization.errors import LoptError, MissingFileError, RunStoppedError
from learned_optimization.learned_optimizers import checkpoints
from learned_optimization.learned_optimizers.base import LearnedOptimizer, MetaParams
from learned_optimization.npz import open_npz, write_npz
from learned_optimization.outer_trainers import held_out
from learned_optimization.outer_trainers.held_out import TunedAdam
from learned_optimization.outer_trainers.program import (
    MetaProgram,
    MetaRunner,
    MetaState,
)
from learned_optimization.training.backend import local_devices
from learned_optimization.training.checkpoint import as_bytes, from_bytes

PARAMS, CONFIG, CURVES = "params", "config.gin", "meta.curves"
_CHECKPOINT, _ADAM = "checkpoint.npz", "adam.json"
_STATE, _BEST = "state/", "best/"
_SECONDS_PER_CALL = 1.0
_SECONDS_BETWEEN_CHECKPOINTS = 60.0
_READ_LIMIT = 1 << 20


@dataclass(frozen=True)
class HeldOut:
    """How meta-parameters are judged while they are trained.

    Attributes:
      tasks: names of fixed tasks; none if nothing is judged.
      num_steps: length of the runs.
      num_seeds: runs on each.
      every: meta-steps between two judgements.
    """

    tasks: tuple[str, ...]
    num_steps: int = 1000
    num_seeds: int = 3
    every: int = 100


@dataclass(frozen=True)
class MetaProgress:
    """How far a run has come.

    Attributes:
      done: meta-steps done.
      num_steps: meta-steps in all.
      meta_loss: mean of the last call.
      score: the last held-out score, the mean over tasks of the logarithm of the loss
        over tuned Adam's; None before the first.
      best_score: the lowest so far.
      steps_per_second: meta-steps per second of the last call.
    """

    done: int
    num_steps: int
    meta_loss: float
    score: float | None
    best_score: float | None
    steps_per_second: float


class Runner(Protocol):
    """Does meta-steps, on this machine (`MetaRunner`) or elsewhere.

    Attributes:
      room: meta-steps of a call, at most.
    """

    room: int

    @property
    def num_devices(self) -> int:
        """How many shares the inner problems are split into, each drawing its own."""
        ...

    @property
    def done(self) -> int:
        """Meta-steps done."""
        ...

    @property
    def state(self) -> MetaState:
        """Where it is."""
        ...

    def averaged(self) -> MetaParams:
        """Return the average of theta, as `MetaProgram.averaged`."""
        ...

    def restore(self, state: MetaState) -> None:
        """Go on from a state that was saved, of numpy arrays."""
        ...

    def advance(self, count: int) -> np.ndarray:
        """Run some meta-steps, and return the meta-loss of each."""
        ...


def on_this_machine(program: MetaProgram, theta: MetaParams | None) -> Runner:
    """Return what does meta-steps on all devices of this process.

    Args:
      program: the meta-training.
      theta: meta-parameters to begin from; new ones if None.
    """
    return MetaRunner(program, local_devices(), theta=theta)


@dataclass
class MetaRun:
    """A run, as far as it has come; `run` goes on to its end.

    Attributes:
      program: the meta-training.
      held_out: how it is judged.
      folder: local path or URL.
      identity: text that tells this run from others: what goes on is the same run.
      theta: meta-parameters to begin from; new ones if None.
      runner_of: what does the meta-steps, of the program and theta.
      best_score: the lowest held-out score so far.
      best_step: the meta-step it was at.
    """

    program: MetaProgram
    held_out: HeldOut
    folder: str
    identity: str
    theta: MetaParams | None = None
    runner_of: Callable[[MetaProgram, MetaParams | None], Runner] = on_this_machine
    best_score: float = math.inf
    best_step: int = 0
    _losses: list[float] = field(default_factory=list)
    _scores: list[dict[str, float]] = field(default_factory=list)
    _score_steps: list[int] = field(default_factory=list)
    _best: MetaParams | None = None
    _seconds: float = 0.0

    def run(
        self,
        on_progress: Callable[[MetaProgress], None] = lambda progress: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> MetaParams:
        """Go on to the end, and return the best meta-parameters.

        Args:
          on_progress: called after every call of the program, and every judgement.
          should_stop: asked as often; a run that is to stop saves itself.

        Raises:
          RunStoppedError: if it was told to stop; the same run goes on from there.
          LoptError: if the folder holds another run.
        """
        self._refuse_if_ended()
        runner = self.runner_of(self.program, self.theta)
        self._resume(runner)
        baselines = self._baselines(should_stop)
        last_saved, size = time.monotonic(), 1
        total = self.program.num_steps
        while runner.done < total:
            until = total
            if self.held_out.tasks:
                every = self.held_out.every
                until = min(total, (runner.done // every + 1) * every)
            size = min(size, until - runner.done)
            start = time.monotonic()
            losses = runner.advance(size)
            seconds = time.monotonic() - start
            self._seconds += seconds
            self._losses += losses.tolist()
            if runner.done == until and self.held_out.tasks:
                self._judge(runner, baselines)
            on_progress(self._progress(runner, losses, size / seconds))
            per_step = seconds / size
            size = max(1, min(runner.room, int(_SECONDS_PER_CALL / per_step)))
            if should_stop() and runner.done < total:
                self._save(runner)
                raise RunStoppedError(f"stopped after {runner.done} meta-steps")
            if time.monotonic() - last_saved > _SECONDS_BETWEEN_CHECKPOINTS:
                self._save(runner)
                last_saved = time.monotonic()
        return self._finish(runner)

    def _progress(
        self, runner: Runner, losses: np.ndarray, rate: float
    ) -> MetaProgress:
        scored = bool(self._scores)
        return MetaProgress(
            done=runner.done,
            num_steps=self.program.num_steps,
            meta_loss=float(np.mean(losses)),
            score=_mean(self._scores[-1]) if scored else None,
            best_score=self.best_score if scored else None,
            steps_per_second=rate,
        )

    def _judge(self, runner: Runner, baselines: dict[str, TunedAdam]) -> None:
        theta = runner.averaged()
        opt = self.program.learned_opt.opt_fn(theta)
        scores = held_out.score(opt, baselines, self.held_out.num_steps)
        self._scores.append(scores)
        self._score_steps.append(runner.done)
        if _mean(scores) < self.best_score:
            self.best_score, self.best_step = _mean(scores), runner.done
            self._best = theta

    def _baselines(self, should_stop: Callable[[], bool]) -> dict[str, TunedAdam]:
        settings = self.held_out
        path = filesystem.join(self.folder, _ADAM)
        key = f"{settings.num_steps}_{settings.num_seeds}"
        stored: dict[str, Any] = {}
        if filesystem.exists(path):
            stored = json.loads(filesystem.read_all(path, _READ_LIMIT)).get(key, {})
        for name in settings.tasks:
            if name in stored:
                continue
            if should_stop():
                raise RunStoppedError(f"stopped before Adam was tuned on {name}")
            adam = held_out.tune_adam(
                name, settings.num_steps, settings.num_seeds, cosine=True
            )
            stored[name] = dataclasses.asdict(adam)
            text = json.dumps({key: stored})
            filesystem.write_bytes(path, text.encode())
        return {name: TunedAdam(**stored[name]) for name in settings.tasks}

    def _finish(self, runner: Runner) -> MetaParams:
        theta, self.best_step = self._publish(runner)
        self._write_curves()
        filesystem.remove_file(filesystem.join(self.folder, _CHECKPOINT))
        return theta

    def _publish(self, runner: Runner) -> tuple[MetaParams, int]:
        """Write the best meta-parameters so far; return them and their meta-step."""
        theta, step = self._best, self.best_step
        if theta is None:
            theta, step = runner.averaged(), runner.done
        lopt = self.program.learned_opt
        write_published(self.folder, lopt, theta, self._gen_id, step)
        return theta, step

    @property
    def _gen_id(self) -> str:
        return hashlib.sha256(self.identity.encode()).hexdigest()[:10]

    def _write_curves(self) -> None:
        done = np.arange(len(self._losses), dtype=np.int64)
        arrays: dict[str, Any] = {
            "train/xs": done,
            "train/loss": np.asarray(self._losses, np.float32),
            "num_steps": np.int64(self.program.num_steps),
            "opt_name": self.program.learned_opt.name,
            "gin_operative_config": self.identity,
            "seed": np.int64(self.program.seed),
            "timing/run_seconds": np.float64(self._seconds),
        }
        # Every result file says when it was evaluated.
        steps = self._score_steps or [len(self._losses)]
        arrays["eval/xs"] = np.asarray(steps, np.int64)
        if self._scores:
            arrays["eval/score"] = np.asarray(
                list(map(_mean, self._scores)), np.float32
            )
            for name in self.held_out.tasks:
                arrays[f"eval/{name}/score"] = np.asarray(
                    [scores[name] for scores in self._scores], np.float32
                )
        write_npz(filesystem.join(self.folder, CURVES), arrays)

    def _save(self, runner: Runner) -> None:
        leaves = jax.tree.leaves(runner.state)
        best = [] if self._best is None else jax.tree.leaves(self._best)
        arrays: dict[str, Any] = {
            "identity": self._identity_of(runner),
            "losses": np.asarray(self._losses, np.float32),
            "scores": json.dumps(self._scores),
            "score_steps": np.asarray(self._score_steps, np.int64),
            "best_step": np.int64(self.best_step),
            "seconds": np.float64(self._seconds),
            **{f"{_STATE}{i}": as_bytes(leaf) for i, leaf in enumerate(leaves)},
            **{f"{_BEST}{i}": as_bytes(leaf) for i, leaf in enumerate(best)},
        }
        path = filesystem.join(self.folder, _CHECKPOINT)
        write_npz(path, arrays, compress=False)
        # Behind it: without a checkpoint they are those of a run that has ended.
        self._publish(runner)
        self._write_curves()

    def _identity_of(self, runner: Runner) -> str:
        # Each share draws numbers of its own.
        return f"{self.identity}\ndevices={runner.num_devices}"

    def _refuse_if_ended(self) -> None:
        if not filesystem.exists(filesystem.join(self.folder, _CHECKPOINT)):
            refuse_result(self.folder)

    def _resume(self, runner: Runner) -> None:
        path = filesystem.join(self.folder, _CHECKPOINT)
        try:
            with open_npz(path) as npz:
                arrays = npz.read()
        except MissingFileError:
            return
        ours = self._identity_of(runner)
        if str(arrays["identity"]) != ours:
            raise LoptError(
                f"{self.folder} holds another run, that of\n{arrays['identity']}\n"
                f"and not of\n{ours}\nName another folder, or give the settings of "
                "that run."
            )
        begun, structure = jax.tree.flatten(runner.state)
        leaves = [
            from_bytes(arrays[f"{_STATE}{i}"], leaf) for i, leaf in enumerate(begun)
        ]
        state: MetaState = jax.tree.unflatten(structure, leaves)
        like = self.program.theta(state)
        if f"{_BEST}0" in arrays:
            best = [
                from_bytes(arrays[f"{_BEST}{i}"], leaf)
                for i, leaf in enumerate(jax.tree.leaves(like))
            ]
            self._best = jax.tree.unflatten(jax.tree.structure(like), best)
        runner.restore(state)
        self._losses = [float(x) for x in arrays["losses"]]
        self._scores = json.loads(str(arrays["scores"]))
        self._score_steps = [int(x) for x in arrays["score_steps"]]
        self.best_step = int(arrays["best_step"])
        self.best_score = min(map(_mean, self._scores), default=math.inf)
        self._seconds = float(arrays["seconds"])


def _mean(scores: dict[str, float]) -> float:
    return float(np.mean(list(scores.values())))


def refuse_result(folder: str) -> None:
    """Raise `LoptError` if a folder holds meta-parameters.

    Args:
      folder: local path or URL.
    """
    if filesystem.exists(filesystem.join(folder, PARAMS)):
        raise LoptError(
            f"{folder} holds the result of a run that has ended: name another folder, "
            "or delete that one."
        )


def write_published(
    folder: str, lopt: LearnedOptimizer, theta: MetaParams, gen_id: str, step: int
) -> None:
    """Write `params` and `config.gin`, as published checkpoints have them.

    Args:
      folder: local path or URL.
      lopt: the learned optimizer.
      theta: meta-parameters.
      gen_id: the name of the run.
      step: meta-steps done.
    """
    text = config_text(lopt)
    filesystem.write_bytes(filesystem.join(folder, CONFIG), text.encode())
    checkpoints.save(filesystem.join(folder, PARAMS), theta, gen_id, step)


def config_text(lopt: LearnedOptimizer) -> str:
    """Return the configuration that names a learned optimizer and its settings."""
    name = type(lopt).__name__
    lines = [f"run_train.lopt = @{name}()"]
    fields: Sequence[Any] = (
        dataclasses.fields(lopt) if dataclasses.is_dataclass(lopt) else ()
    )
    for each in fields:
        value = getattr(lopt, each.name)
        if isinstance(value, (bool, int, float, str, tuple, list, type(None))):
            lines.append(f"{name}.{each.name} = {value!r}")
    return "\n".join(lines) + "\n"
