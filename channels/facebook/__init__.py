"""A Facebook page, through the Graph API: a post with link or pictures, answers to comments and messages."""

from passaparola.channels.facebook.receiver import FacebookReceiver
from passaparola.channels.facebook.sender import FacebookSender

__all__ = ["FacebookReceiver", "FacebookSender"]
