"""SendGrid: one request carries the skeleton once and up to a thousand people's holes as substitutions."""

from passaparola.channels.sendgrid.receiver import SendgridReceiver
from passaparola.channels.sendgrid.sender import SendgridSender

__all__ = ["SendgridReceiver", "SendgridSender"]
