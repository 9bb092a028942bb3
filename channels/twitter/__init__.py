"""X, through tweepy: a post, a thread when the text is long, pictures with alt text."""

from passaparola.channels.twitter.receiver import TwitterEar
from passaparola.channels.twitter.sender import Twitter

__all__ = ["Twitter", "TwitterEar"]
