"""The memory: who they are, what they allow, what happened."""
