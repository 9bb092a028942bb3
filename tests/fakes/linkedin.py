"""LinkedIn's Posts API: refuses calls without their headers, unescaped signs and duplicates; keeps pictures and comments."""

import re
import time
from typing import Any
from urllib.parse import unquote

from tests.fakes import NOBODY
from tests.fakes._network import Answer, Call, FakeNetwork, Refusal

PAGE = "urn:li:organization:77"


class Fake(FakeNetwork):
    def began(self) -> None:
        self.pictures: dict[str, bytes] = {}
        self.comments: list[dict[str, Any]] = []
        self.hidden: set[str] = set()
        self.env = {"LINKEDIN_ORGANISATION_ID": "77", "LINKEDIN_ACCESS_TOKEN": "right", "LINKEDIN_API_URL": self.url}
        self.wrong, self.down = {"LINKEDIN_ACCESS_TOKEN": "{canary}"}, {"LINKEDIN_API_URL": NOBODY}

    def posting(self, call: Call) -> bool:
        return call.method == "POST" and "images" not in call.path

    def handle(self, call: Call) -> Answer:
        if call.headers.get("authorization") != "Bearer right":
            raise Refusal(401, {"message": "Invalid access token", "serviceErrorCode": 65600, "status": 401})
        if call.path.startswith("/upload/"):
            self.pictures[call.path.rpartition("/")[2]] = call.body
            return Answer(201)
        if (
            not re.fullmatch(r"20\d{4}", call.headers.get("linkedin-version", ""))
            or call.headers.get("x-restli-protocol-version") != "2.0.0"
        ):
            raise Refusal(
                426, {"code": "NONEXISTENT_VERSION", "message": "Requested version is not active", "status": 426}
            )
        if ":" in call.asked or "(" in call.asked:
            raise Refusal(400, {"message": "Invalid path or query: a URN must be encoded", "status": 400})
        if call.path == "/rest/images":
            number = f"img{len(self.pictures)}"
            return Answer(
                200, {"value": {"uploadUrl": f"{self.url}/upload/{number}", "image": f"urn:li:image:{number}"}}
            )
        if call.path == "/rest/posts":
            return self._made(call.json()) if call.method == "POST" else Answer(200, {"elements": self.posts[::-1]})
        if call.path.endswith("/comments"):
            on = unquote(call.path.split("/")[3])
            if call.method == "POST":
                self.posts.append(call.json() | {"on": on})
                return Answer(201, {"commentUrn": "urn:li:comment:(urn:li:activity:1,99)"}, {"x-restli-id": "99"})
            return Answer(200, {"elements": [one for one in self.comments if one["object"] == on]})
        urn = unquote(call.path.rpartition("/")[2])
        post = next((p for p in self.posts if p.get("id") == urn and urn not in self.hidden), None)
        if post is None:
            raise Refusal(404, {"message": "Not found", "status": 404})
        return Answer(200, post)

    def _made(self, post: dict[str, Any]) -> Answer:
        if post["author"] != PAGE or post["visibility"] != "PUBLIC" or "feedDistribution" not in post["distribution"]:
            raise Refusal(422, {"message": "a field is missing", "status": 422})
        plain = re.sub(r"\{hashtag\|\\#\|[^{}]+\}", "", post["commentary"])
        if re.search(r"(?<!\\)[|{}@\[\]()<>#*_~]", plain) or len(post["commentary"]) > 6_000:
            raise Refusal(422, {"message": "commentary is not little text", "status": 422})
        if any(old.get("commentary") == post["commentary"] for old in self.posts):
            raise Refusal(422, {"message": "Content is a duplicate of urn:li:share:1", "status": 422})
        urn = f"urn:li:share:{1000 + len(self.posts)}"
        self.posts.append(post | {"id": urn, "createdAt": int(time.time() * 1000)})
        return Answer(201, {}, {"x-restli-id": urn})
