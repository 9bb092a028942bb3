"""The engineer's door: the commands of `passaparola`."""
