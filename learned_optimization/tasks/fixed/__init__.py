"""The fixed tasks: one no-argument function per task, grouped by architecture."""
