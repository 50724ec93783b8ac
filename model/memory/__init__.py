"""The recurrence over segments: the scan, five methods to differentiate it, and the retention factors."""
