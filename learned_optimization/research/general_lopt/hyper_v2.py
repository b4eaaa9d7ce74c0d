"""`HyperV2` under its published name; see `learned_optimizers.hyper_v2`."""

from learned_optimization.learned_optimizers.hyper_v2 import HyperV2

__all__ = ["HyperV2"]
