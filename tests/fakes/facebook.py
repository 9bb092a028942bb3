"""A page's Graph API: posts, photos, comments, messages; refuses a second post with the same text within the hour."""

from datetime import UTC, datetime
from typing import Any

from tests.fakes import NOBODY
from tests.fakes._network import Answer, Call, FakeNetwork, Refusal

VERSION = "/v26.0"


class Fake(FakeNetwork):
    def began(self) -> None:
        self.photos: dict[str, dict[str, Any]] = {}
        self.hidden: set[str] = set()
        self.env = {
            "FACEBOOK_PAGE_ID": "77", "FACEBOOK_PAGE_TOKEN": "right", "FACEBOOK_APP_SECRET": "app secret", "FACEBOOK_API_URL": self.url,
        }  # fmt: skip
        self.wrong, self.down = {"FACEBOOK_PAGE_TOKEN": "{canary}"}, {"FACEBOOK_API_URL": NOBODY}

    def posting(self, call: Call) -> bool:
        return call.method == "POST" and not call.path.endswith("/photos")

    def refusal(self, status: int) -> Answer:
        codes = {429: 32, 401: 190, 403: 200, 503: 2, 400: 100}
        usage = '{"77":[{"type":"pages","call_count":100,"estimated_time_to_regain_access":9}]}'
        headers = {"X-Business-Use-Case-Usage": usage} if status == 429 else {}
        return Answer(
            500 if status == 503 else 400, {"error": {"message": "no", "type": "x", "code": codes[status]}}, headers
        )

    def handle(self, call: Call) -> Answer:
        if call.headers.get("authorization") != "Bearer right":
            raise Refusal(
                400, {"error": {"message": "Error validating access token", "code": 190, "error_subcode": 463}}
            )
        if not call.path.startswith(VERSION):
            raise Refusal(400, {"error": {"message": "Unknown path components", "code": 2500}})
        path = call.path.removeprefix(VERSION)
        given = (
            call.query
            if call.method == "GET"
            else (call.json() | call.query if "json" in call.headers.get("content-type", "") else call.form())
        )
        if len(str(given.get("appsecret_proof", ""))) != 64:
            raise Refusal(
                400, {"error": {"message": "API calls from the server require an appsecret_proof", "code": 100}}
            )
        return self._read(path) if call.method == "GET" else self._write(path, given)

    def _read(self, path: str) -> Answer:
        if path == "/77/feed":
            shown = [
                {k: p[k] for k in ("id", "message", "created_time")}
                for p in self.posts
                if "message" in p and not p.get("on")
            ]
            return Answer(200, {"data": shown[::-1]})
        post = next((p for p in self.posts if f"/{p['id']}" == path and p["id"] not in self.hidden), None)
        if post is None:
            raise Refusal(400, {"error": {"message": "Unsupported get request.", "code": 100, "error_subcode": 33}})
        return Answer(200, {"id": post["id"], "is_published": True})

    def _write(self, path: str, given: dict[str, Any]) -> Answer:
        if path == "/77/photos":
            id_ = str(900 + len(self.photos))
            self.photos[id_] = {
                "alt": given["alt_text_custom"],
                "bytes": given["source"],
                "published": given["published"],
            }
            return Answer(200, {"id": id_})
        if path == "/77/feed":
            if set(given) - {"message", "link", "appsecret_proof"} - {f"attached_media[{n}]" for n in range(10)}:
                raise Refusal(400, {"error": {"message": "unknown field", "code": 100}})
            if any(p.get("message") == given["message"] for p in self.posts):
                raise Refusal(400, {"error": {"message": "Duplicate status message", "code": 506}})
            id_ = f"77_{1000 + len(self.posts)}"
            self.posts.append(given | {"id": id_, "created_time": datetime.now(UTC).isoformat()})
            return Answer(200, {"id": id_})
        on = path.split("/")[1]
        id_ = f"{on}_{len(self.posts)}"
        self.posts.append(given | {"id": id_, "on": on})
        return Answer(200, {"message_id": id_, "id": id_})
