"""From results back to parameters: fits to measured curves, and sweeps over parameters."""
