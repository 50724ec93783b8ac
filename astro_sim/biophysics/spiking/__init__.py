"""The spiking tripartite network: parameters, the Brian2 network, and the simulation."""
