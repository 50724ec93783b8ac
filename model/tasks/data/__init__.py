"""Token data sets: arrays, batches, encodings, files on disk, and where files come from."""
