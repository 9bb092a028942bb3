"""Journeys: who is in, what is next, and when."""
