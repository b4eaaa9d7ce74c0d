"""Families of tasks, of which meta-training draws."""
