"""Normalizers: losses of different tasks as steps that a tuned baseline needs.

    normalizers.speedup_over_adam_10000_build_and_write(tasks, "mine.json")
    to_steps = normalizers.speedup_over_adam_10000_normalizer_map("mine.json")
    to_steps["ImageMLP_FashionMnist8_Relu32"](0.5)

A loss that Adam, at the best of its learning rates, reaches after 5,000 steps maps to
5,000, on any task. `speedup_over_adam` and `speedup_over_multiple_baselines` are
those of VeLO (Metz et al. 2022, arXiv:2211.09760), their `v2` have a longer horizon.
Those named by their horizon are ours: one machine can train their baseline.
"""

from __future__ import annotations

from learned_optimization.baselines.speedups.normalizer import NormalizerMap
from learned_optimization.baselines.speedups.specs import (
    NORMALIZERS,
    PACKAGED,
    PUBLISHED,
    NormalizerSpec,
    find,
    find_file,
    own_folder,
)

__all__ = [
    "NORMALIZERS",
    "PACKAGED",
    "PUBLISHED",
    "NormalizerMap",
    "NormalizerSpec",
    "find",
    "find_file",
    "own_folder",
    "speedup_over_adam_1000_build_and_write",
    "speedup_over_adam_1000_normalizer_map",
    "speedup_over_adam_2000_build_and_write",
    "speedup_over_adam_2000_normalizer_map",
    "speedup_over_adam_10000_build_and_write",
    "speedup_over_adam_10000_normalizer_map",
    "speedup_over_adam_build_and_write",
    "speedup_over_adam_normalizer_map",
    "speedup_over_adam_v2_build_and_write",
    "speedup_over_adam_v2_normalizer_map",
    "speedup_over_multiple_baselines_build_and_write",
    "speedup_over_multiple_baselines_map",
    "speedup_over_multiple_baselines_normalizer_map",
    "speedup_over_multiple_baselines_v2_build_and_write",
    "speedup_over_multiple_baselines_v2_map",
    "speedup_over_multiple_baselines_v2_normalizer_map",
]

_adam = NORMALIZERS["speedup_over_adam"]
speedup_over_adam_build_and_write = _adam.build_and_write
speedup_over_adam_normalizer_map = _adam.normalizer_map

_adam_v2 = NORMALIZERS["speedup_over_adam_v2"]
speedup_over_adam_v2_build_and_write = _adam_v2.build_and_write
speedup_over_adam_v2_normalizer_map = _adam_v2.normalizer_map

_several = NORMALIZERS["speedup_over_multiple_baselines"]
speedup_over_multiple_baselines_build_and_write = _several.build_and_write
speedup_over_multiple_baselines_normalizer_map = _several.normalizer_map
# The name it was published under.
speedup_over_multiple_baselines_map = _several.normalizer_map

_several_v2 = NORMALIZERS["speedup_over_multiple_baselines_v2"]
speedup_over_multiple_baselines_v2_build_and_write = _several_v2.build_and_write
speedup_over_multiple_baselines_v2_normalizer_map = _several_v2.normalizer_map
speedup_over_multiple_baselines_v2_map = _several_v2.normalizer_map

_adam_1000 = NORMALIZERS["speedup_over_adam_1000"]
speedup_over_adam_1000_build_and_write = _adam_1000.build_and_write
speedup_over_adam_1000_normalizer_map = _adam_1000.normalizer_map

_adam_2000 = NORMALIZERS["speedup_over_adam_2000"]
speedup_over_adam_2000_build_and_write = _adam_2000.build_and_write
speedup_over_adam_2000_normalizer_map = _adam_2000.normalizer_map

_adam_10000 = NORMALIZERS["speedup_over_adam_10000"]
speedup_over_adam_10000_build_and_write = _adam_10000.build_and_write
speedup_over_adam_10000_normalizer_map = _adam_10000.normalizer_map
