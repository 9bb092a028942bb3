"""The same resource, for WhatsApp."""

from tests.fakes import sms


class Fake(sms.Fake):
    before = "whatsapp:"
    sender = "WHATSAPP_FROM"
