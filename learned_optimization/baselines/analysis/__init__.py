"""What the archives of sets say: each set on a task, sets compared, a verdict.

Figures and the report show what is worked out here; the statistics themselves are
`baselines.stats`.
"""
