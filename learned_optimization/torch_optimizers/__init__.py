"""Optimizers of PyTorch, `torch.optim.Optimizer`s of anyone, on the tasks here."""

from learned_optimization.torch_optimizers.define import (
    TorchOptimizer,
    torch_class,
    torch_optimizer,
)
from learned_optimization.torch_optimizers.parameters import Parameters

__all__ = ["Parameters", "TorchOptimizer", "torch_class", "torch_optimizer"]
