"""The rate model: its equations, their compiled right-hand side, its stability and its measured influence."""
