"""Data sets, loaded only when a batch is needed."""
