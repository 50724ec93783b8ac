"""The spiking network of tripartite synapses: parameters, the network in Brian2, and the simulation."""
