"""A SendGrid that refuses what the real one refuses, and keeps an fsynced log of what it accepted: the judge.

Knobs (POST /_knobs) act on the numbered request since they were set, or on `"*"`:
    delay: seconds before anything · before: {n: status} · after: {n: status} · drop: [n] after accepting
    limit: {n: Retry-After seconds} · half: [n] reads half the request and closes
Rules: https://www.twilio.com/docs/sendgrid/api-reference/mail-send/limitations and …/errors
"""

import asyncio
import json
import os
import re
import tempfile
import time
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.fakes import NOBODY

ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]{2,}")
RESERVED = {
    "x-sg-id", "x-sg-eid", "received", "dkim-signature", "content-type", "content-transfer-encoding", "to", "from",
    "subject", "reply-to", "cc", "bcc",
}  # fmt: skip


class Fake:
    """A handle on such a server, in a process of its own."""

    def __enter__(self) -> "Fake":
        self.folder = tempfile.TemporaryDirectory()
        self.log = Path(self.folder.name) / "log"
        from tests.conftest import Provider

        self.provider = Provider(self.log).__enter__()
        self.env = {"SENDGRID_API_KEY": "SG.right", "SENDGRID_API_URL": self.provider.url}
        self.wrong, self.down = {"SENDGRID_API_KEY": "{canary}"}, {"SENDGRID_API_URL": NOBODY}
        return self

    def __exit__(self, *error: object) -> None:
        self.provider.__exit__(*error)
        self.folder.cleanup()

    def accepted(self) -> int:
        return len(self.provider.accepted())

    def fail(self, status: int) -> None:
        self.provider.knobs(**({"limit": {1: 7}} if status == 429 else {"before": {1: status}}))

    def stall(self, seconds: float) -> None:
        self.provider.knobs(delay=seconds)

    def lose(self) -> None:
        self.provider.knobs(drop=[1])


class Refusal(Exception):
    def __init__(self, status: int, message: str, field: str | None = None) -> None:
        self.status, self.message, self.field = status, message, field


class Server:
    def __init__(self, log: str) -> None:
        self.log = open(log, "ab", buffering=0)
        self.knobs: dict[str, Any] = {}
        self.requests = 0
        self.refused_at: list[float] = []
        self.accepted: dict[str, list[str]] = {}
        self.activity = False

    async def send(self, request: web.Request) -> web.StreamResponse:
        self.requests += 1
        number = self.requests
        if self._now("half", number):
            await request.content.read(64)
            self._hang_up(request)
        body = await request.read()
        await asyncio.sleep(float(self.knobs.get("delay", 0)))
        if status := self._now("before", number):
            return self._error(Refusal(int(status), "before"))
        if seconds := self._now("limit", number):
            headers = {} if self.knobs.get("silent") else {"Retry-After": str(seconds)}
            self.refused_at.append(time.time())
            return web.json_response(
                {"errors": [{"field": None, "message": "too many requests"}]}, status=429, headers=headers
            )
        try:
            mail = judged(request, body)
        except Refusal as refusal:
            return self._error(refusal)
        self._accept(mail)
        if status := self._now("after", number):
            return self._error(Refusal(int(status), "after"))
        if self._now("drop", number):
            self._hang_up(request)
        return web.Response(status=202, headers={"X-Message-Id": f"fake{number:06}"})

    def _accept(self, mail: dict[str, Any]) -> None:
        people = mail["personalizations"]
        line = {
            "at": time.time(),
            "attempt": int(people[0].get("custom_args", {}).get("passaparola_attempt") or 0),
            "to": [person["to"][0]["email"] for person in people],
            "message": [person.get("custom_args", {}).get("passaparola_message") for person in people],
            "subject": filled(mail["subject"], people[0]),
            "html": filled(mail["content"][-1]["value"], people[0]),
        }
        self.log.write(json.dumps(line).encode() + b"\n")
        os.fsync(self.log.fileno())
        for person in people:
            self.accepted.setdefault(person.get("custom_args", {}).get("passaparola_attempt", ""), []).append(
                person["to"][0]["email"]
            )

    def _now(self, name: str, number: int) -> Any:
        knob = self.knobs.get(name)
        if isinstance(knob, list):
            return number in knob or "*" in knob
        return (knob or {}).get(str(number)) or (knob or {}).get("*")

    def _hang_up(self, request: web.Request) -> None:
        assert request.transport is not None
        request.transport.abort()
        raise asyncio.CancelledError

    def _error(self, refusal: Refusal) -> web.Response:
        if refusal.status == 413:
            return web.Response(status=413, text="<html>413 Request Entity Too Large</html>", content_type="text/html")
        errors = [{"message": refusal.message, "field": refusal.field, "help": None}]
        return web.json_response({"errors": errors}, status=refusal.status)

    async def messages(self, request: web.Request) -> web.Response:
        """The Email Activity add-on."""
        if not self.activity:
            return self._error(Refusal(403, "access forbidden"))
        wanted = re.fullmatch(r"\(unique_args\['passaparola_attempt'\]=\"(\d+)\"\)", request.query["query"])
        found = self.accepted.get(wanted[1], []) if wanted else []
        return web.json_response(
            {"messages": [{"to_email": found[0], "msg_id": "fake.1", "status": "delivered"}] if found else []}
        )

    async def suppressed(self, request: web.Request) -> web.Response:
        """Seven hundred bounces, so that two pages are needed, and one complaint."""
        if request.headers.get("Authorization") != "Bearer SG.right":
            return self._error(Refusal(401, "authorization required"))
        rows = {"bounces": [f"gone{n}@example.org" for n in range(700)], "spam_reports": ["Angry@example.org"]}
        start, size = int(request.query.get("offset", 0)), int(request.query.get("limit", 500))
        found = rows.get(request.match_info["kind"], [])[start : start + min(size, 500)]
        return web.json_response([{"created": 1, "email": email, "reason": ""} for email in found])

    async def turn(self, request: web.Request) -> web.Response:
        self.knobs = await request.json()
        self.activity = bool(self.knobs.pop("activity", self.activity))
        self.requests = 0
        return web.json_response({})

    async def count(self, request: web.Request) -> web.Response:
        return web.json_response({"requests": self.requests, "refused_at": self.refused_at})


def judged(request: web.Request, body: bytes) -> dict[str, Any]:
    """The request, or a Refusal as the real API would give it."""
    if len(body) > 30 * 1024 * 1024:
        raise Refusal(413, "")
    if request.headers.get("Authorization") != "Bearer SG.right":
        raise Refusal(401, "The provided authorization grant is invalid, expired, or revoked")
    try:
        mail: dict[str, Any] = json.loads(body)
    except ValueError:
        raise Refusal(400, "Bad Request") from None
    people = mail.get("personalizations") or []
    if not 1 <= len(people) <= 1000:
        raise Refusal(
            400,
            f"The personalization block is limited to 1000 personalizations. You have provided {len(people)}",
            "personalizations",
        )
    seen: set[str] = set()
    for number, person in enumerate(people):
        _judge_person(number, person, seen)
    if not ADDRESS.fullmatch(mail.get("from", {}).get("email", "")):
        raise Refusal(400, "The from email does not contain a valid address.", "from.email")
    if not mail.get("subject"):
        raise Refusal(400, "The subject is required.", "subject")
    kinds = [part.get("type") for part in mail.get("content", [])]
    if (
        not kinds
        or kinds != sorted(kinds, key=["text/plain", "text/html"].index)
        or not all(part.get("value") for part in mail["content"])
    ):
        raise Refusal(400, "The content value must be a string at least one character in length.", "content")
    categories = mail.get("categories", [])
    if (
        len(categories) > 10
        or len(set(categories)) < len(categories)
        or any(len(category) > 255 for category in categories)
    ):
        raise Refusal(400, "categories", "categories")
    return mail


def _judge_person(number: int, person: dict[str, Any], seen: set[str]) -> None:
    where = f"personalizations.{number}"
    for address in person.get("to", []):
        email = address.get("email", "")
        if not ADDRESS.fullmatch(email) or email.endswith("@refused.example"):
            raise Refusal(400, "Does not contain a valid address.", f"{where}.to.0.email")
        if email.lower() in seen:
            raise Refusal(400, "Each unique email address should only be included once.", f"{where}.to")
        seen.add(email.lower())
        if set(address.get("name", "")) & set(";,"):
            raise Refusal(400, "name", f"{where}.to.0.name")
    if not person.get("to"):
        raise Refusal(400, "The to array is required.", f"{where}.to")
    substitutions = person.get("substitutions", {})
    if any(not isinstance(value, str) for value in substitutions.values()):
        raise Refusal(400, "Substitutions must be strings.", f"{where}.substitutions")
    if any(re.search(r"[\s<>&]", tag) for tag in substitutions):
        raise Refusal(400, "tags", f"{where}.substitutions")
    if sum(len(tag.encode()) + len(value.encode()) for tag, value in substitutions.items()) > 10_000:
        raise Refusal(400, "substitutions exceed 10000 bytes", f"{where}.substitutions")
    custom = person.get("custom_args", {})
    if any(not isinstance(value, str) for value in custom.values()) or len(json.dumps(custom)) > 10_000:
        raise Refusal(400, "custom_args", f"{where}.custom_args")
    for name, value in person.get("headers", {}).items():
        if name.lower() in RESERVED or re.search(r"[\r\n]", name + value):
            raise Refusal(400, "headers", f"{where}.headers")


def filled(text: str, person: dict[str, Any]) -> str:
    """As SendGrid does it: every tag replaced, raw."""
    for tag, value in person.get("substitutions", {}).items():
        text = text.replace(tag, value)
    return text


def serve(log: str, says: Any) -> None:
    """In a process of its own; tells its port through a pipe."""
    asyncio.run(_served(log, says))


async def _served(log: str, says: Any) -> None:
    fake = Server(log)
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_post("/v3/mail/send", fake.send)
    app.router.add_get("/v3/messages", fake.messages)
    app.router.add_get("/v3/suppression/{kind}", fake.suppressed)
    app.router.add_post("/_knobs", fake.turn)
    app.router.add_get("/_count", fake.count)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    says.send(runner.addresses[0][1])
    await asyncio.Event().wait()
