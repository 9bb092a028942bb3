"""Bluesky, through the AT Protocol: a post under a key of our own, so that posting it again is posting it once."""

from passaparola.channels.bluesky.receiver import BlueskyReceiver
from passaparola.channels.bluesky.sender import BlueskySender

__all__ = ["BlueskyReceiver", "BlueskySender"]
