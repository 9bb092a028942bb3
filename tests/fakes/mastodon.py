"""An instance: posts that know an Idempotency-Key, pictures, what we wrote as we wrote it, notifications."""

import html
from datetime import UTC, datetime
from typing import Any

from tests.fakes import NOBODY
from tests.fakes._network import Answer, Call, FakeNetwork, Refusal

ACCOUNT = {"id": "42", "username": "bottega", "acct": "bottega", "display_name": "Bottega"}


class Fake(FakeNetwork):
    def began(self) -> None:
        self.pictures: dict[str, dict[str, Any]] = {}
        self.keys: dict[str, dict[str, Any]] = {}
        self.notifications: list[dict[str, Any]] = []
        self.others: dict[str, dict[str, Any]] = {}
        self.hidden: set[str] = set()
        self.env = {"MASTODON_URL": self.url, "MASTODON_ACCESS_TOKEN": "right"}
        self.wrong, self.down = {"MASTODON_ACCESS_TOKEN": "{canary}"}, {"MASTODON_URL": NOBODY}

    def posting(self, call: Call) -> bool:
        return call.method == "POST" and call.path == "/api/v1/statuses"

    def refusal(self, status: int) -> Answer:
        return Answer(
            status,
            {"error": "no"},
            {"X-RateLimit-Remaining": "0", "X-RateLimit-Limit": "300", "X-RateLimit-Reset": "2100-01-01T00:00:00Z"}
            if status == 429
            else {},
        )

    def handle(self, call: Call) -> Answer:
        if call.headers.get("authorization") != "Bearer right":
            raise Refusal(401, {"error": "The access token is invalid"})
        if call.path == "/api/v1/accounts/verify_credentials":
            return Answer(200, ACCOUNT)
        if call.path == "/api/v1/accounts/42/statuses":
            return Answer(200, [p for p in self.posts[::-1] if p["id"] not in self.hidden])
        if call.path == "/api/v1/notifications":
            known = int(call.query.get("min_id", 0))
            return Answer(200, [one for one in self.notifications if int(one["id"]) > known][::-1])
        if call.path.endswith("/media"):
            given = call.form()
            id_ = str(900 + len(self.pictures))
            self.pictures[id_] = {"alt": given["description"], "bytes": given["file"]}
            return Answer(
                200, {"id": id_, "type": "image", "url": f"{self.url}/m/{id_}.png", "description": given["description"]}
            )
        if call.path == "/api/v1/statuses" and call.method == "POST":
            return self._made(call)
        return self._one(call.path.removeprefix("/api/v1/statuses/"))

    def _made(self, call: Call) -> Answer:
        given, key = call.form(), call.headers.get("idempotency-key", "")
        if key and key in self.keys:
            return Answer(200, self.keys[key])
        if len(given["status"]) > 500 and "http" not in given["status"]:
            raise Refusal(422, {"error": "Validation failed: Text character limit of 500 exceeded"})
        made = {
            "id": str(1000 + len(self.posts)), "created_at": datetime.now(UTC).isoformat(), "account": ACCOUNT, "source": given["status"],
            "content": f"<p>{html.escape(given['status'])}</p>", "visibility": given.get("visibility", "public"), "media": [v for k, v in given.items() if k.startswith("media_ids")],
            "in_reply_to_id": given.get("in_reply_to_id"),
        }  # fmt: skip
        self.posts.append(made)
        self.keys[key] = made
        return Answer(200, made)

    def _one(self, rest: str) -> Answer:
        id_, _, what = rest.partition("/")
        found = next((p for p in self.posts if p["id"] == id_ and id_ not in self.hidden), self.others.get(id_))
        if found is None:
            raise Refusal(404, {"error": "Record not found"})
        return Answer(200, {"id": id_, "text": found["source"], "spoiler_text": ""} if what == "source" else found)
