"""A Telegram channel and its bot: posts to the channel, answers to those who write to the bot."""

from passaparola.channels.telegram.receiver import TelegramEar
from passaparola.channels.telegram.sender import Telegram

__all__ = ["Telegram", "TelegramEar"]
