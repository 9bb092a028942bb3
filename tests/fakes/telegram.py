"""The Bot API: messages, photos, albums, updates. A bot cannot read a channel back."""

import json
from typing import Any

from tests.fakes import NOBODY
from tests.fakes._network import Answer, Call, FakeNetwork, Refusal


class Fake(FakeNetwork):
    def began(self) -> None:
        self.updates: list[dict[str, Any]] = []
        self.env = {"TELEGRAM_BOT_TOKEN": "1:right", "TELEGRAM_CHANNEL": "@bottega", "TELEGRAM_API_URL": self.url}
        self.wrong, self.down = {"TELEGRAM_BOT_TOKEN": "{canary}"}, {"TELEGRAM_API_URL": NOBODY}

    def refusal(self, status: int) -> Answer:
        more = {"parameters": {"retry_after": 7}} if status == 429 else {}
        return Answer(
            status,
            {"ok": False, "error_code": status, "description": "Unauthorized" if status == 401 else "no", **more},
        )

    def handle(self, call: Call) -> Answer:
        token, _, method = call.path.removeprefix("/bot").partition("/")
        if token != "1:right":
            raise Refusal(401, {"ok": False, "error_code": 401, "description": "Unauthorized"})
        if method == "getUpdates":
            return Answer(
                200,
                {"ok": True, "result": [one for one in self.updates if one["update_id"] >= int(call.query["offset"])]},
            )
        given = call.form()
        text = given.get("text") or given.get("caption") or json.loads(given.get("media", "[{}]"))[0].get("caption", "")
        if given["chat_id"] not in ("@bottega", "555"):
            raise Refusal(400, {"ok": False, "error_code": 400, "description": "Bad Request: chat not found"})
        if len(text) > (4096 if method == "sendMessage" else 1024):
            raise Refusal(
                400, {"ok": False, "error_code": 400, "description": "Bad Request: message caption is too long"}
            )
        self.posts.append({"method": method, "text": text} | given)
        chat = {"id": -100, "username": "bottega"} if given["chat_id"] == "@bottega" else {"id": 555}
        one = {"message_id": len(self.posts), "chat": chat, "text": text}
        return Answer(200, {"ok": True, "result": [one] if method == "sendMediaGroup" else one})
