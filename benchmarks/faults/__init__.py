"""Killed work and disks that cannot be written: nothing is lost, and nothing is left.

`works` lists the kinds of work with the digest of their results, and `trials` kills them and takes their disk away.
"""
