"""The `rmaat` command line, and in `rmaat.base` the utilities that every package uses."""
