"""The `rmaat` command and what every package shares: errors, whole-file writing and parameter records."""
