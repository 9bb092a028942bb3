"""SMS, through Twilio. What it costs grows by the segment: 160 plain signs, or 70 as soon as one of them is not
plain."""

import math
from decimal import Decimal

from passaparola.channel.sender import Branding, Skeleton
from passaparola.channels._twilio import MAX_TEXT_CHARS, TwilioReceiver, TwilioSender
from passaparola.settings import FromEnvironment

# GSM 03.38, its basic table and what it writes with two signs.
# https://www.twilio.com/docs/glossary/what-is-gsm-7-character-encoding
GSM7_CHARS = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ "
    "!\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM7_DOUBLE_CHARS = frozenset("^{}\\[~]|€")
HOLE_SAMPLE_CHARS = 12  # signs that a hole is filled with, as a rule


class SmsPrices(FromEnvironment):
    sms_price: Decimal = Decimal("0.08")  # US dollars a segment; what your country costs is in Twilio's price list


class SmsSender(TwilioSender):
    name = "sms"
    medium = "sms"
    branding = Branding("SMS", "#34c759", bubble=True, share="sms:?&body={text}%20{url}")

    @classmethod
    def problems(cls, skeleton: Skeleton) -> list[str]:
        text, problems = _sample_text(skeleton), []
        if not text.strip():
            problems.append("there is nothing to say")
        if len(text) > MAX_TEXT_CHARS:
            problems.append(f"{len(text)} signs; an SMS has {MAX_TEXT_CHARS} at most")
        if "STOP" not in text.upper():
            problems.append("it says no way out; end with “Reply STOP to opt out”")
        if skeleton.media:
            problems.append("an SMS carries no pictures")
        return problems

    @classmethod
    def price(cls, skeleton: Skeleton) -> Decimal:
        return count_segments(_sample_text(skeleton)) * SmsPrices().sms_price

    @classmethod
    def approval_note(cls, skeleton: Skeleton) -> str:
        text = _sample_text(skeleton)
        count = count_segments(text)
        odd = "".join(sorted({sign for sign in text if sign not in GSM7_CHARS | GSM7_DOUBLE_CHARS}))[:10]
        because = f", because of {odd}" if odd else ""
        return f"{count} segment{'' if count == 1 else 's'}{because}"


class SmsReceiver(TwilioReceiver):
    name = "sms"
    medium = "sms"


def count_segments(text: str) -> int:
    """Count the segments in which a phone network carries a text.
    https://www.twilio.com/docs/glossary/what-sms-character-limit"""
    if all(sign in GSM7_CHARS or sign in GSM7_DOUBLE_CHARS for sign in text):
        size, alone, joined = len(text) + sum(sign in GSM7_DOUBLE_CHARS for sign in text), 160, 153
    else:
        size, alone, joined = len(text.encode("utf-16-le")) // 2, 70, 67
    return 1 if size <= alone else math.ceil(size / joined)


def _sample_text(skeleton: Skeleton) -> str:
    part = skeleton.parts["text"]
    return ("x" * HOLE_SAMPLE_CHARS).join(part.statics).strip()
