"""Figures: curves of sets, and everything the statistics can show."""
