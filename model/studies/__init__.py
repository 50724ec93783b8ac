"""Comparisons of many trainings: presets, contenders, studies, their runner and report."""
