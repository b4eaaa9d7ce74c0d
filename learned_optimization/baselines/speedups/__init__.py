"""Losses as steps that a tuned baseline needs, and how many times fewer a set needs."""
