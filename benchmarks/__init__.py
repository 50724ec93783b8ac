"""Measurements of speed, memory and data; each module is a program that prints tables and writes `results/`."""
