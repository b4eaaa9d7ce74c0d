"""The learning rates that optimizers are tuned over."""

LEARNING_RATES = (
    3e-7, 1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0
)  # fmt: skip
"""Half-decade learning rates, 3e-7 to 1."""
