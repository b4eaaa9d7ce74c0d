"""The report: one HTML page that compares sets on tasks, verdict first."""

from learned_optimization.baselines.report.build import build_report

__all__ = ["build_report"]
