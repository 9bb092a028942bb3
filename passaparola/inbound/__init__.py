"""What came in: raw bodies are verified, stored, parsed, identified, recorded and reacted to."""
