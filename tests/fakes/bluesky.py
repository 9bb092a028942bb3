"""A PDS: sessions, records under keys, blobs; refuses what its lexicon refuses. It hands on what an AppView would answer."""

import re
from typing import Any

import regex

from tests.fakes import NOBODY
from tests.fakes._network import Answer, Call, FakeNetwork, Refusal

DID = "did:plc:bottega"


class Fake(FakeNetwork):
    def began(self) -> None:
        self.records: dict[str, dict[str, Any]] = {}
        self.blobs: list[bytes] = []
        self.notifications: list[dict[str, Any]] = []
        self.seen: list[dict[str, Any]] = []
        self.hidden: set[str] = set()
        self.env = {"BLUESKY_HANDLE": "bottega.example", "BLUESKY_APP_PASSWORD": "right", "BLUESKY_URL": self.url}
        self.wrong, self.down = {"BLUESKY_APP_PASSWORD": "{canary}"}, {"BLUESKY_URL": NOBODY}

    def accepted(self) -> int:
        return len(self.records)

    def posting(self, call: Call) -> bool:
        return call.path.endswith("putRecord")

    def refusal(self, status: int) -> Answer:
        return Answer(
            status,
            {"error": "X", "message": "no"},
            {"RateLimit-Reset": "4102444800", "RateLimit-Remaining": "0"} if status == 429 else {},
        )

    def handle(self, call: Call) -> Answer:
        name = call.path.removeprefix("/xrpc/")
        if name == "com.atproto.server.createSession":
            if call.json() != {"identifier": "bottega.example", "password": "right"}:
                raise Refusal(401, {"error": "AuthenticationRequired", "message": "Invalid identifier or password"})
            return Answer(200, {"accessJwt": "jwt", "refreshJwt": "r", "did": DID, "handle": "bottega.example"})
        if call.headers.get("authorization") != "Bearer jwt":
            raise Refusal(401, {"error": "AuthMissing", "message": "Authentication Required"})
        if name == "com.atproto.repo.uploadBlob":
            self.blobs.append(call.body)
            return Answer(
                200,
                {
                    "blob": {
                        "$type": "blob",
                        "ref": {"$link": f"b{len(self.blobs)}"},
                        "mimeType": call.headers["content-type"],
                        "size": len(call.body),
                    }
                },
            )
        if name == "com.atproto.repo.putRecord":
            return self._put(call.json())
        if name == "com.atproto.repo.getRecord":
            uri = f"at://{call.query['repo']}/{call.query['collection']}/{call.query['rkey']}"
            if uri not in self.records or uri in self.hidden:
                raise Refusal(400, {"error": "RecordNotFound", "message": f"Could not locate record: {uri}"})
            return Answer(200, {"uri": uri, "cid": "c", "value": self.records[uri]})
        if name == "app.bsky.feed.getPosts":
            return Answer(200, {"posts": [one for one in self.seen if one["uri"] == call.query["uris"]]})
        return Answer(200, {"notifications": self.notifications[::-1]})

    def _put(self, given: dict[str, Any]) -> Answer:
        record, key = given["record"], given["rkey"]
        if not re.fullmatch(r"[234567abcdefghij][234567abcdefghijklmnopqrstuvwxyz]{12}", key):
            raise Refusal(400, {"error": "InvalidRequest", "message": "Invalid record key"})
        if (length := len(regex.findall(r"\X", record["text"]))) > 300:
            raise Refusal(400, {"error": "InvalidRequest", "message": f"grapheme too big (maximum 300, got {length})"})
        for facet in record.get("facets", []):
            said = record["text"].encode()[facet["index"]["byteStart"] : facet["index"]["byteEnd"]].decode()
            if said not in (facet["features"][0].get("uri"), f"#{facet['features'][0].get('tag')}"):
                raise Refusal(400, {"error": "InvalidRequest", "message": "a facet that is beside its words"})
        uri = f"at://{DID}/app.bsky.feed.post/{key}"
        self.records[uri] = record
        return Answer(200, {"uri": uri, "cid": "c"})
