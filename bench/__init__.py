"""Each hot path beside its peer in one run, as a ratio: `make bench`, `make bench ONLY=render`."""
