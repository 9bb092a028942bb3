"""The world's door: links, the local mailbox, health."""
