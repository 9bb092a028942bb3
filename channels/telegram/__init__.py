"""A Telegram channel and its bot: posts to the channel, answers to those who write to the bot."""

from passaparola.channels.telegram.receiver import TelegramReceiver
from passaparola.channels.telegram.sender import TelegramSender

__all__ = ["TelegramReceiver", "TelegramSender"]
