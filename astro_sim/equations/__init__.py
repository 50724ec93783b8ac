"""The rate model's equations, their compiled right-hand side, and what can be told from them without a run."""
