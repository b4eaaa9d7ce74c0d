"""Learned optimizers: update rules whose parameters, theta, were trained themselves."""
