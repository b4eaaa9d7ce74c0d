"""The fixed tasks: one no-argument function a task, grouped by architecture."""
