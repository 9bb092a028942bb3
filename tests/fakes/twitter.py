"""X as our channel meets it: posts, media, the own timeline; refuses duplicates and wrong keys, can lose its answer.

Facts: https://docs.x.com/x-api/posts/creation-of-a-post and …/media/quickstart
"""

import json
import re
import threading
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.fakes import NOBODY


class Fake:
    def __init__(self) -> None:
        self.posts: list[dict[str, Any]] = []
        self.media: dict[str, dict[str, Any]] = {}
        self.mentions: list[dict[str, Any]] = []
        self.direct: list[dict[str, Any]] = []
        self.reads: list[str] = []
        self.hidden: set[str] = set()
        self.stalled = 0.0
        self.lose_next = False
        self.fail_next: int | None = None

    def accepted(self) -> int:
        return len(self.posts)

    def lose(self) -> None:
        self.lose_next = True

    def stall(self, seconds: float) -> None:
        self.stalled = seconds

    def fail(self, status: int) -> None:
        self.fail_next = status

    def __enter__(self) -> "Fake":
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *args: Any) -> None:
                pass

            def do_GET(self) -> None:
                fake.get(self)

            def do_POST(self) -> None:
                fake.post(self)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        keys = ("CONSUMER_KEY", "CONSUMER_SECRET", "ACCESS_TOKEN", "ACCESS_TOKEN_SECRET")
        self.env = {**{f"TWITTER_{key}": "right" for key in keys}, "TWITTER_API_URL": self.url}
        self.wrong, self.down = {"TWITTER_ACCESS_TOKEN": "{canary}"}, {"TWITTER_API_URL": NOBODY}
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def get(self, request: Any) -> None:
        if not self._allowed(request):
            return
        if request.path.startswith("/2/users/me"):
            return answer(request, 200, {"data": {"id": "42", "name": "Bottega", "username": "bottega"}})
        self.reads.append(request.path)
        asked = {name: values[0] for name, values in parse_qs(urlsplit(request.path).query).items()}
        people = [{"id": "7", "username": "lucia_in_cucina"}, {"id": "42", "username": "bottega"}]
        if "/mentions" in request.path:
            new = [post for post in self.mentions if int(post["id"]) > int(asked.get("since_id", 0))]
            return answer(
                request,
                200,
                {"data": new, "includes": {"users": people}, "meta": {}} if new else {"meta": {"result_count": 0}},
            )
        if request.path.startswith("/2/dm_events"):
            return answer(request, 200, {"data": self.direct, "includes": {"users": people}, "meta": {}})
        if found := re.match(r"/2/tweets/(\d+)", request.path):
            there = next((p for p in self.posts if p["id"] == found[1] and p["id"] not in self.hidden), None)
            missing = {"errors": [{"title": "Not Found Error", "detail": "Could not find tweet", "value": found[1]}]}
            body = (
                {"data": {"id": there["id"], "text": there["text"], "edit_history_tweet_ids": []}} if there else missing
            )
            return answer(request, 200, body)
        tweets = [
            {
                "id": p["id"],
                "text": p["text"],
                "created_at": p["at"],
                "entities": p["entities"],
                "edit_history_tweet_ids": [p["id"]],
            }
            for p in reversed(self.posts)
        ]
        answer(
            request,
            200,
            {"data": tweets, "meta": {"result_count": len(tweets)}} if tweets else {"meta": {"result_count": 0}},
        )

    def post(self, request: Any) -> None:
        body = request.rfile.read(int(request.headers["Content-Length"] or 0))
        if not self._allowed(request):
            return
        if request.path.startswith("/2/media"):
            return self._upload(request, body)
        if self.fail_next:
            status, self.fail_next = self.fail_next, None
            headers = {"x-rate-limit-reset": "4102444800"} if status == 429 else {}
            return answer(request, status, {"title": "no", "detail": "no"}, headers)
        post = json.loads(body)
        if request.path.startswith("/2/dm_conversations/"):
            self.posts.append(
                {"id": "d", "written": post["text"], "text": post["text"], "conversation": request.path.split("/")[3]}
            )
            return answer(
                request, 201, {"data": {"dm_event_id": "5005", "dm_conversation_id": request.path.split("/")[3]}}
            )
        if set(post) - {"text", "media", "reply"}:
            return answer(request, 400, {"errors": [{"message": "unknown field"}]})
        if any(old["written"] == post["text"] for old in self.posts):
            return answer(
                request,
                403,
                {"title": "Forbidden", "detail": "You are not allowed to create a Tweet with duplicate content."},
            )
        urls: list[dict[str, str]] = []

        def shortened(found: re.Match[str]) -> str:
            urls.append({"url": f"https://t.co/{len(urls):08}", "expanded_url": found[0]})
            return urls[-1]["url"]

        text = re.sub(r"https?://\S+", shortened, post["text"]).replace("&", "&amp;")
        number = str(1000 + len(self.posts))
        self.posts.append(
            {
                "id": number,
                "written": post["text"],
                "text": text,
                "at": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
                "entities": {"urls": urls},
                "media": post.get("media", {}).get("media_ids", []),
                "reply": post.get("reply"),
            }
        )
        if self.stalled:
            time.sleep(self.stalled)
        if self.lose_next or self.stalled:
            self.lose_next, self.stalled = False, 0.0
            request.connection.close()
            return
        answer(request, 201, {"data": {"id": number, "text": text}})

    def _upload(self, request: Any, body: bytes) -> None:
        if request.path.endswith("initialize"):
            id_ = str(9000 + len(self.media))
            self.media[id_] = json.loads(body)
            return answer(request, 200, {"data": {"id": id_}})
        if request.path.endswith("metadata"):
            said = json.loads(body)
            self.media[said["id"]]["alt"] = said["metadata"]["alt_text"]["text"]
            return answer(request, 200, {"data": {}})
        id_ = request.path.split("/")[4]
        if request.path.endswith("append"):
            self.media[id_]["bytes"] = len(body)
            return answer(request, 204, None)
        answer(request, 200, {"data": {"id": id_}})

    def _allowed(self, request: Any) -> bool:
        if 'oauth_token="right"' in request.headers.get("Authorization", ""):
            return True
        answer(request, 401, {"title": "Unauthorized", "detail": "Unauthorized"})
        return False


def answer(request: Any, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
    raw = json.dumps(body).encode() if body is not None else b""
    request.send_response(status)
    for name, value in {"Content-Type": "application/json", "Content-Length": str(len(raw)), **(headers or {})}.items():
        request.send_header(name, value)
    request.end_headers()
    request.wfile.write(raw)
