"""Customers who are not there: they open, follow links, buy, answer, complain and write back, each in their own way,
through the real doors. Who does what is decided by their address, so the same people do the same each time.

They live for the demo. A few are machines: prefetching mail programs, and scanners that follow every link.
"""

import email
import email.policy
import html
import random
import re
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import parseaddr
from hashlib import sha256
from pathlib import Path
from typing import Any

from passaparola.demo import browser, orders, provider, shop
from passaparola.demo.phrases import COMMENTED, COMMENTS, EMAILS, OUT_OF_OFFICE, POSTS
from passaparola.demo.provider import delivery_event

THINK_SECONDS = 2.5  # seconds before anyone does anything with a letter


@dataclass
class Customers:
    """Simulated customers, reading their mail in a thread of its own."""

    url: str
    box: Path
    shop_secret: str
    done: Counter[str] = field(default_factory=Counter)
    seen: set[str] = field(default_factory=set)
    orders: int = 5_000

    def __post_init__(self) -> None:
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._live, daemon=True)

    def start(self) -> None:
        self.thread.start()

    def stop(self) -> None:
        self.stopping.set()
        self.thread.join(10)

    def _live(self) -> None:
        with suppress(OSError):
            self._speak_on_networks()
        while not self.stopping.wait(0.3):
            ripe = time.time() - THINK_SECONDS
            new = [
                path
                for path in (self.box / "new").iterdir()
                if path.name not in self.seen and path.stat().st_mtime < ripe
            ]
            new.sort(key=lambda path: -path.stat().st_mtime)  # the newest lies on top
            with suppress(OSError):  # the shop is closing
                self._read(new[:150])

    def _read(self, paths: list[Path]) -> None:
        provider_events: list[dict[str, Any]] = []
        for path in paths:
            if self.stopping.is_set():
                return
            self.seen.add(path.name)
            try:
                provider_events += self._handle_email(path)
            except (urllib.error.URLError, OSError, KeyError, ValueError):
                self.done["went wrong"] += 1
        if provider_events:
            self._tell_events(provider_events)

    def _handle_email(self, path: Path) -> list[dict[str, Any]]:
        """Do what one person does with one email. Return the events that the provider reports of it."""
        with path.open("rb") as file:
            mail: Any = email.message_from_binary_file(file, policy=email.policy.default)
        to, name = parseaddr(str(mail["To"]))[1], path.name.partition(",")[0]
        dice = random.Random(sha256(f"{to} {mail['Subject']}".encode()).digest())
        body = mail.get_body(preferencelist=("html",)).get_content()
        links = [
            html.unescape(url)
            for url in re.findall(r'(?:href|src)="([^"]+)"', body)
            if url.startswith(("http:", "&", "https:"))
        ]
        own_links = [url for url in links if url.startswith(self.url)]
        lucky = dice.random()
        if lucky < 0.02:
            hard = dice.random() < 0.6
            return [
                delivery_event(
                    "bounce",
                    name,
                    to,
                    type="bounce" if hard else "blocked",
                    bounce_classification="Invalid Address" if hard else "Mailbox Unavailable",
                )
            ]
        provider_events = [delivery_event("processed", name, to), delivery_event("delivered", name, to)]
        if lucky > 0.998:
            self.done["complained"] += 1
            return [*provider_events, delivery_event("spamreport", name, to)]
        self._open_and_click(dice, own_links)
        self._pass_on(dice, own_links)
        self._act(dice, mail, to, own_links)
        return provider_events

    def _open_and_click(self, dice: random.Random, own_links: list[str]) -> None:
        pixels, clicks = _of(own_links, "/o/"), _of(own_links, "/c/")
        if pixels and dice.random() < 0.3:
            browser.get(pixels[0], "Mozilla/5.0")
            self.done["opened by a machine"] += 1
        if clicks and dice.random() < 0.06:
            for url in clicks:
                browser.get(url)
            self.done["scanned by a machine"] += 1
        elif pixels and dice.random() < 0.4:
            browser.get(pixels[0])
            self.done["opened"] += 1
            if clicks and dice.random() < 0.3:
                browser.get(dice.choice(clicks))
                self.done["clicked"] += 1

    def _pass_on(self, dice: random.Random, own_links: list[str]) -> None:
        """Share a campaign with friends, as some do; some of the friends come."""
        words = [url for url in _of(own_links, "/w/") if url.count("/") > 4]
        if not words or dice.random() > 0.06:
            return
        tapped = dice.choice(words)
        browser.get(tapped)
        self.done["passed the word on"] += 1
        for _ in range(dice.choice([0, 1, 1, 2, 4])):
            browser.get(tapped.rpartition("/")[0])
            self.done["came because a friend said so"] += 1

    def _act(self, dice: random.Random, mail: EmailMessage, to: str, own_links: list[str]) -> None:
        surveys, chance = _of(own_links, "/s/"), dice.random()
        italian = "Content-Language" in mail or bool(
            re.search(r"\b(ciao|gentile|cara?o?|grazie|della|che)\b", str(mail["Subject"]).lower())
        )
        tongue = "it" if italian or dice.random() < 0.6 else "en"
        if surveys and chance < 0.5:
            return self._answer(dice, surveys, tongue)
        if chance < 0.02:
            self._order(to)
        elif chance < 0.028:
            self._write(dice, mail, to, tongue)
        elif chance < 0.032:
            self._away(mail, to, tongue)
        elif chance < 0.036 and (out := _of(own_links, "/u/")):
            browser.post(out[0], urllib.parse.urlencode({"List-Unsubscribe": "One-Click"}).encode(), {})
            self.done["unsubscribed"] += 1

    def _answer(self, dice: random.Random, surveys: list[str], tongue: str) -> None:
        score = dice.choices([10, 9, 8, 7, 5, 3, 1], [30, 25, 18, 12, 8, 5, 2])[0]
        url = next((url for url in surveys if url.endswith(f"score={score}")), surveys[0])
        browser.get(url)
        self.done["answered the survey"] += 1
        if (score <= 5 and dice.random() < 0.6) or (score >= 9 and dice.random() < 0.15):
            answer = {"score": score, "comment": COMMENTS[tongue]["low" if score <= 5 else "high"]}
            browser.post(url.partition("?")[0], urllib.parse.urlencode(answer).encode(), {})

    def _order(self, to: str) -> None:
        self.orders += 1
        orders.send_order(f"{self.url}/webhooks/shopify", self.shop_secret, shop.now(), number=self.orders, email=to)
        self.done["ordered"] += 1

    def _write(self, dice: random.Random, mail: EmailMessage, to: str, tongue: str) -> None:
        subject, words = dice.choice(EMAILS[tongue])
        quoted = (
            f"\n\nIl giorno gio 26 nov 2026 Bottega Passaparola ha scritto:\n> {mail['Subject']}\n> ..."
            if tongue == "it"
            else f"\n\nOn Thu, Nov 26, 2026 Bottega Passaparola wrote:\n> {mail['Subject']}\n> ..."
        )
        self._inbound(to, subject, words + quoted, str(mail["Message-ID"]), dice)
        self.done["wrote back"] += 1

    def _away(self, mail: EmailMessage, to: str, tongue: str) -> None:
        subject, words = OUT_OF_OFFICE[tongue]
        self._inbound(
            to,
            subject + str(mail["Subject"]),
            words,
            str(mail["Message-ID"]),
            random.Random(to),
            {"Auto-Submitted": "auto-replied"},
        )
        self.done["out of office"] += 1

    def _inbound(
        self,
        sender: str,
        subject: str,
        words: str,
        answers: str,
        dice: random.Random,
        more: dict[str, str] | None = None,
    ) -> None:
        reply = EmailMessage()
        for key, value in {
            "From": sender,
            "To": "ciao@bottega.example",
            "Subject": subject,
            "In-Reply-To": answers,
            "References": answers,
            "Message-ID": f"<{dice.getrandbits(60)}@their.example>",
            **(more or {}),
        }.items():
            reply[key] = value
        reply.set_content(words)
        self._send(provider.inbound_email(reply, sender))

    def _tell_events(self, provider_events: list[dict[str, Any]]) -> None:
        random.Random(len(provider_events)).shuffle(provider_events)  # SendGrid promises no order
        for _ in range(2):  # and often tells things twice
            self._send(provider.delivery_events(provider_events))
        self.done["told by the provider"] += len(provider_events)

    def _speak_on_networks(self) -> None:
        for number, (handle, words) in enumerate(POSTS):
            self._send(provider.mention_on_x(number, handle, words))
            self.done["mentioned us on X"] += 1
        for number, (name, words) in enumerate(COMMENTED):
            self._send(provider.comment_on_facebook(number, name, words))
            self.done["commented on Facebook"] += 1

    def _send(self, webhook: provider.Webhook) -> None:
        browser.post(self.url + webhook.path, webhook.body, webhook.headers)


def _of(urls: list[str], room: str) -> list[str]:
    return list(dict.fromkeys(url for url in urls if room in url))
