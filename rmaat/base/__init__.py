"""Utilities that every package uses; this package imports none of the others."""
