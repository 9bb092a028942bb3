"""Any SMTP server, over a few kept connections: each message has its own answer, and the doubt is one message wide."""

from passaparola.channels.smtp.sender import SmtpSender

__all__ = ["SmtpSender"]
