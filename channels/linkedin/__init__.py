"""A LinkedIn page, through the Posts API: a post with pictures, answers to comments."""

from passaparola.channels.linkedin.receiver import LinkedinEar
from passaparola.channels.linkedin.sender import Linkedin

__all__ = ["Linkedin", "LinkedinEar"]
