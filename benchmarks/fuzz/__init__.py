"""Damaged input for every reader: each mutant is refused with one sentence, or is harmless.

`mutations` changes bytes, words and files, `readers` lists the readers with their files, `trial` reads one mutant in
a process of its own. `corpus/` holds mutants that once broke a reader; a test replays them.
"""
