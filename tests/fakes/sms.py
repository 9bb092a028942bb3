"""Twilio's Messages resource: one call per person, numbers in E.164, codes as they are documented."""

import base64
from typing import Any

from tests.fakes import NOBODY
from tests.fakes._network import Answer, Call, FakeNetwork, Refusal


class Fake(FakeNetwork):
    before = ""
    sender = "SMS_FROM"

    def began(self) -> None:
        self.env = {
            "TWILIO_ACCOUNT_SID": "AC1",
            "TWILIO_AUTH_TOKEN": "right",
            "TWILIO_API_URL": self.url,
            self.sender: "+390200000000",
        }
        self.wrong, self.down = {"TWILIO_AUTH_TOKEN": "{canary}"}, {"TWILIO_API_URL": NOBODY}

    def refusal(self, status: int) -> Answer:
        code = {401: 20003, 429: 20429}.get(status, 20500)
        return Answer(status, {"code": code, "message": "no", "status": status})

    def handle(self, call: Call) -> Answer:
        if call.headers.get("authorization") != "Basic " + base64.b64encode(b"AC1:right").decode():
            raise Refusal(401, {"code": 20003, "message": "Authenticate", "status": 401})
        given: dict[str, Any] = call.form()
        number = given["To"].removeprefix(self.before)
        if not given["To"].startswith(self.before + "+") or number.endswith("0000"):
            raise Refusal(400, {"code": 21211, "message": "Invalid 'To' Phone Number", "status": 400})
        if number.endswith("1111"):
            raise Refusal(400, {"code": 21610, "message": "Attempt to send to unsubscribed recipient", "status": 400})
        if not given.get("Body") and not given.get("ContentSid"):
            raise Refusal(400, {"code": 21602, "message": "Message body is required", "status": 400})
        self.posts.append(given)
        return Answer(201, {"sid": f"SM{len(self.posts):032}", "status": "queued"})
