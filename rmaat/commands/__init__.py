"""The commands, one module each: SUMMARY, EXAMPLE, add_arguments(parser), run(options)."""
