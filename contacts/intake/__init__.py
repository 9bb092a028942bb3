"""Coming in: files of people, and what the world tells us through the door, kept as it came and applied afterwards."""
