"""Utilities that every package uses: errors, files, parameter records, progress, signals and provenance.

This package imports none of the others.
"""
