"""The synapses in space: positions, distances and the coupling between astrocytic processes."""
