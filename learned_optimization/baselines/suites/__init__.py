"""Suites: named lists of tasks, each trained for the same number of steps."""
