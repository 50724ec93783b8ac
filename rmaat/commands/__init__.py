"""The commands of `rmaat`; each module has SUMMARY, EXAMPLE, add_arguments(parser) and run(options)."""
