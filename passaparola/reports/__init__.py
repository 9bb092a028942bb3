"""What came of it, in figures that say how sure they are."""
