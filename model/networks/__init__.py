"""Whole networks: the segment cell, classifiers, pairs of documents, the causal form, streams."""
