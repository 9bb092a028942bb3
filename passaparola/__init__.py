"""Passaparola: multichannel campaigns that talk and listen."""
