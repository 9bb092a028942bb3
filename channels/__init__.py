"""Connectors: one file or folder per network or shop, found by the registry."""
