"""Machine-learning problems that optimizers are trained on."""
