"""Whole runs: in memory, streamed to a file, or many at once; and the traces that they write."""
