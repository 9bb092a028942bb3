"""A Facebook page, through the Graph API: a post with link or pictures, answers to comments and messages."""

from passaparola.channels.facebook.receiver import FacebookEar
from passaparola.channels.facebook.sender import Facebook

__all__ = ["Facebook", "FacebookEar"]
