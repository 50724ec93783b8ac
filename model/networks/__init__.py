"""Whole networks: cells, classifiers, pairs of documents, the language model, streams; and how to build them."""
