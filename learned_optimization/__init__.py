"""Optimizer Baselines: find out which optimizer is really better."""
