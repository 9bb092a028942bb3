"""WhatsApp, through Twilio: free words within a day of theirs, an approved template at any time.

The template is named in the wording's front matter; what fills its numbered places stands there too.
https://www.twilio.com/docs/whatsapp/key-concepts
"""

from datetime import timedelta

import orjson

from passaparola.channel.sender import Branding, Dispatch, OutboundMessage, Skeleton
from passaparola.channels._twilio import MAX_TEXT_CHARS, TwilioReceiver, TwilioSender


class WhatsappSender(TwilioSender):
    name = "whatsapp"
    medium = "whatsapp"
    reply_window = timedelta(hours=24)
    before = "whatsapp:"
    branding = Branding("WhatsApp", "#25d366", bubble=True, share="https://wa.me/?text={text}%20{url}")

    @classmethod
    def problems(cls, skeleton: Skeleton) -> list[str]:
        length = sum(map(len, skeleton.parts["text"].statics))
        problems = [] if length else ["there is nothing to say"]
        if length > MAX_TEXT_CHARS:
            problems.append(f"{length} signs; {MAX_TEXT_CHARS} are the most")
        if skeleton.media:
            problems.append("pictures go into the approved template")
        return problems

    @classmethod
    def approval_note(cls, skeleton: Skeleton) -> str:
        approved = skeleton.template
        return f"template {approved}" if approved else "only to those who wrote within 24 hours"

    def _content(self, dispatch: Dispatch, message: OutboundMessage) -> dict[str, str]:
        approved = dispatch.skeleton.template
        if not approved:
            return super()._content(dispatch, message)
        places = {n: part.fill(message.values) for n, part in dispatch.skeleton.parts.items() if n.isdigit()}
        return {"ContentSid": approved, "ContentVariables": orjson.dumps(places).decode()}


class WhatsappReceiver(TwilioReceiver):
    name = "whatsapp"
    medium = "whatsapp"
