"""Doing: from a decision to a message at rest."""
