"""Contacts: who they are, what they allow, what they did."""
