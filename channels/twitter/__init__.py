"""X, through tweepy: a post, a thread when the text is long, pictures with alt text."""

from passaparola.channels.twitter.receiver import TwitterReceiver
from passaparola.channels.twitter.sender import TwitterSender

__all__ = ["TwitterReceiver", "TwitterSender"]
