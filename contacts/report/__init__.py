"""What came of it, in figures that say how sure they are: each report is asked once, and shown as page, artifact, text or JSON."""
