"""A LinkedIn page, through the Posts API: a post with pictures, answers to comments."""

from passaparola.channels.linkedin.receiver import LinkedinReceiver
from passaparola.channels.linkedin.sender import LinkedinSender

__all__ = ["LinkedinReceiver", "LinkedinSender"]
