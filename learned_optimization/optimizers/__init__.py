"""Optimizers: pytrees of hyper-parameters with pure init and update."""
