"""Mastodon, through Mastodon.py: a post with pictures and words for them, answers in the thread or in private."""

from passaparola.channels.mastodon.receiver import MastodonReceiver
from passaparola.channels.mastodon.sender import MastodonSender

__all__ = ["MastodonReceiver", "MastodonSender"]
