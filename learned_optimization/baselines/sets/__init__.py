"""Hyper-parameter sets: what one is, how it is defined, by what name it is known."""
