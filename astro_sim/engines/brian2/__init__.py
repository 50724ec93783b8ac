"""The Brian2 engine: it describes a network here, and compiles and runs it in a separate process."""
