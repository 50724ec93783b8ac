"""The recurrence over segments: retention factors, the scan, and the ways to differentiate it."""
