"""Whole runs: simulate in memory, to a file or many at once, and the traces they give."""
