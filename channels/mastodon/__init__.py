"""Mastodon, through Mastodon.py: a post with pictures and words for them, answers in the thread or in private."""

from passaparola.channels.mastodon.receiver import MastodonEar
from passaparola.channels.mastodon.sender import Mastodon

__all__ = ["Mastodon", "MastodonEar"]
