"""Optimizers: pytrees of hyper-parameters with pure init and update.

Those that are documented in `optimizers.base` too are known to gin as soon as any of
the modules is imported.
"""

from learned_optimization.optimizers import gradient_clip as gradient_clip
from learned_optimization.optimizers import grafting as grafting
from learned_optimization.optimizers import optax_opts as optax_opts
