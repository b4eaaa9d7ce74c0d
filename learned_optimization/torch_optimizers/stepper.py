"""A `torch.optim.Optimizer` at work on the parameters of one trial.

PyTorch owns the parameters and changes them in place; jax reads the same memory.
Gradients are jax's memory, which PyTorch may change once they are computed.
"""

from __future__ import annotations

import inspect
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import jax
import torch

from learned_optimization.errors import LoptError
from learned_optimization.optimizers.stepped import GradientFn
from learned_optimization.text import said
from learned_optimization.torch_optimizers.parameters import Parameters

_BY_PLACE = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
)

Make = Callable[[Parameters], Any]
"""From parameters to an optimizer, or to several, and schedules, stepped in order."""


class TorchStepper:
    """Steps parameters of its own by what a function makes for them.

    Args:
      make: makes the optimizer.
      names: path of each parameter.
      arrays: initial parameters, which are copied once.
      seed: seeds PyTorch's random numbers, those of the whole process.
      with_closure: whether steps are given a closure though they do not demand one.

    Raises:
      LoptError: if `make` does not return an optimizer.
    """

    def __init__(
        self,
        make: Make,
        names: Sequence[str],
        arrays: Sequence[jax.Array],
        seed: int,
        with_closure: bool = False,
    ):
        torch.manual_seed(seed)
        jax.block_until_ready(arrays)
        self._params = [
            torch.nn.Parameter(torch.from_dlpack(array).clone()) for array in arrays
        ]
        self._arrays: list[Any] = [None] * len(self._params)
        self._pointers = [0] * len(self._params)
        self._parts = optimizers_of(make(Parameters(names, self._params)))
        self._with_closure = [
            demands_closure(part) or (with_closure and _is_optimizer(part))
            for part in self._parts
        ]
        self._is_tried = self._has_stepped = False
        self._tell("train")

    def step(self, gradient: GradientFn) -> None:
        """Run one update; see `Stepper.step`."""

        def closure() -> torch.Tensor:
            loss, grads = gradient(self._read())
            for param, grad in zip(self._params, grads, strict=True):
                param.grad = torch.from_dlpack(grad)
            return torch.from_dlpack(loss)

        closure()
        self._has_stepped = True
        if not self._is_tried:
            self._try(closure)
            return
        for part, with_closure in zip(self._parts, self._with_closure, strict=True):
            if with_closure:
                part.step(closure)
            else:
                part.step()

    def _try(self, closure: Callable[[], torch.Tensor]) -> None:
        """Run the first update, which shows who else cannot do without a closure."""
        for i, part in enumerate(self._parts):
            if not self._with_closure[i]:
                before = [param.detach().clone() for param in self._params]
                try:
                    part.step()
                    continue
                except Exception:
                    if not _is_optimizer(part) or not self._holds(before):
                        raise
                    self._with_closure[i] = True
            part.step(closure)
        self._is_tried = True

    def _holds(self, values: Sequence[torch.Tensor]) -> bool:
        pairs = zip(self._params, values, strict=True)
        return all(torch.equal(param, value) for param, value in pairs)

    @contextmanager
    def evaluated(self) -> Iterator[list[jax.Array]]:
        """Give the parameters to evaluate: those after `eval()`, where there is one."""
        # Before the first step there is no average yet: it would be of nothing else.
        if not (self._has_stepped and any(_has(p, "eval") for p in self._parts)):
            yield self._read()
            return
        # Going there and back rounds: when it is evaluated must not change a curve.
        before = [param.detach().clone() for param in self._params]
        self._tell("eval")
        try:
            yield self._read()
        finally:
            self._tell("train")
            for param, kept in zip(self._params, before, strict=True):
                param.detach().copy_(kept)

    def _tell(self, mode: str) -> None:
        for part in self._parts:
            if _has(part, mode):
                getattr(part, mode)()

    def _read(self) -> list[jax.Array]:
        """Return the parameters as jax sees them, in the same memory."""
        for i, param in enumerate(self._params):
            if param.data_ptr() != self._pointers[i]:
                array = jax.dlpack.from_dlpack(param.detach())
                # An optimizer may put parameters elsewhere, and jax copies what it
                # cannot read in place: then they cross again at each step.
                is_shared = array.unsafe_buffer_pointer() == param.data_ptr()
                self._pointers[i] = param.data_ptr() if is_shared else 0
                self._arrays[i] = array
        return self._arrays

    def state(self) -> bytes:
        """Return parameters, states of the optimizers, and of the random numbers."""
        file = io.BytesIO()
        content = {
            "params": [param.detach() for param in self._params],
            "states": [part.state_dict() for part in self._parts],
            "kept": [_plain_attributes(part) for part in self._parts],
            "random": torch.get_rng_state(),
        }
        torch.save(content, file)
        return file.getvalue()

    def restore(self, state: bytes) -> None:
        """Go to where `state` was called.

        Raises:
          LoptError: if the state is not one of this optimizer, or holds what is no
            tensor, number, text or container.
        """
        try:
            content = torch.load(io.BytesIO(state), weights_only=True)
            for param, kept in zip(self._params, content["params"], strict=True):
                param.detach().copy_(kept)
            states, kept = content["states"], content["kept"]
            for part, own, more in zip(self._parts, states, kept, strict=True):
                part.load_state_dict(own)
                vars(part).update(more)
            torch.set_rng_state(content["random"])
            self._has_stepped = True
        # Whatever torch, or anyone's `load_state_dict`, raises.
        except Exception as error:
            raise LoptError(
                f"the state of {type(self._parts[0]).__name__} cannot be restored: "
                f"{said(error)}"
            ) from error


def zeros() -> Parameters:
    """Return a small matrix and a vector, to try on what makes an optimizer."""
    params = [torch.nn.Parameter(torch.zeros(shape)) for shape in ((2, 2), (2,))]
    return Parameters(["kernel", "bias"], params)


def optimizers_of(made: Any) -> list[Any]:
    """Return the optimizers and schedules that a function has made, in order.

    Raises:
      LoptError: if it has made something else.
    """
    parts = list(made) if isinstance(made, (list, tuple)) else [made]
    for part in parts:
        if not callable(getattr(part, "step", None)):
            raise LoptError(
                "a torch optimizer's function returns a torch.optim.Optimizer, or a "
                f"list of optimizers and schedules, got {part!r}."
            )
    if not any(map(_is_optimizer, parts)):
        raise LoptError(
            "a torch optimizer's function returns at least one optimizer, got "
            f"{made!r}."
        )
    return parts


def _is_optimizer(part: Any) -> bool:
    # What wraps an optimizer need not be one by its class.
    return not isinstance(part, torch.optim.lr_scheduler.LRScheduler)


def _has(part: Any, method: str) -> bool:
    return callable(getattr(part, method, None))


def demands_closure(part: Any) -> bool:
    """Return whether the signature of an optimizer's step demands a closure."""
    if not _is_optimizer(part):
        return False
    parameters = inspect.signature(part.step).parameters.values()
    return any(p.default is p.empty and p.kind in _BY_PLACE for p in parameters)


def _plain_attributes(part: Any) -> dict[str, Any]:
    """Return the numbers and flags that an optimizer keeps beside its state."""
    return {k: v for k, v in vars(part).items() if isinstance(v, (bool, int, float))}
