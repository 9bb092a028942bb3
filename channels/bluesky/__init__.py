"""Bluesky, through the AT Protocol: a post under a key of our own, so that posting it again is posting it once."""

from passaparola.channels.bluesky.receiver import BlueskyEar
from passaparola.channels.bluesky.sender import Bluesky

__all__ = ["Bluesky", "BlueskyEar"]
