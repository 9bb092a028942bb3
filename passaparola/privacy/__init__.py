"""The rights of contacts: export, erasure and how long things are kept."""
