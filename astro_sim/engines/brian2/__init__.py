"""The Brian2 engine: a network described here, compiled and run in a process of its own."""
