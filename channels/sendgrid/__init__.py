"""SendGrid: one request carries the skeleton once and up to a thousand people's holes as substitutions."""

from passaparola.channels.sendgrid.receiver import SendgridEvents
from passaparola.channels.sendgrid.sender import Sendgrid

__all__ = ["Sendgrid", "SendgridEvents"]
