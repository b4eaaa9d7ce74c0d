"""Readers of the formats that data sets are published in, one file each."""
