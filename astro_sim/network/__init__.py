"""Positions of the synapses, distances between them, and the coupling between their astrocytic processes."""
