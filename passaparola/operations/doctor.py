"""Check all that a house needs, from outside in: one line for each thing, with what to do where it is missing.

`ok`: as it should be · `warning`: it works, and someone should look · `error`: it does not work.
"""

import shutil
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from sqlalchemy import text

from passaparola.channel import registry
from passaparola.channel.receiver import Webhook
from passaparola.errors import Forged, Misconfigured, PassaparolaError
from passaparola.operations import health, watchdog
from passaparola.settings import Settings, get_settings
from passaparola.store.database import Store, latest_revision, utc_now

State = Literal["ok", "warning", "error"]
MIN_FREE_BYTES = 2 * 2**30  # bytes below which someone should make room
MAX_CLOCK_SKEW = timedelta(seconds=5)
# Under which providers publish their keys.
DKIM_SELECTORS = ("s1", "s2", "default", "mail", "dkim", "google", "selector1")


@dataclass(frozen=True)
class CheckResult:
    what: str
    state: State
    summary: str


def run_checks() -> list[CheckResult]:
    """Run every check, whatever the others find."""
    settings = get_settings()
    checks: list[CheckResult] = []
    for check in (
        _check_store,
        _check_secret,
        _check_senders,
        _check_receivers,
        _check_public_url,
        _check_domain,
        _check_disk,
        _check_prefect,
    ):
        try:
            checks += list(check(settings))
        except PassaparolaError as error:
            checks.append(CheckResult(check.__name__.strip("_"), "error", str(error)))
        except Exception as error:  # one organ that can't be examined keeps none of the others from it
            checks.append(
                CheckResult(check.__name__.strip("_"), "error", f"could not be examined ({type(error).__name__})")
            )
    return checks


def _check_store(settings: Settings) -> Iterator[CheckResult]:
    store = Store(settings.database, busy_timeout=5).open()
    now = utc_now()
    with store.write() as session:
        session.execute(text("UPDATE seal SET id = id WHERE false"))
        server = None if store.on_sqlite else session.execute(text("SELECT clock_timestamp()")).scalar()
    yield CheckResult(
        "store",
        "ok",
        f"{'SQLite' if store.on_sqlite else 'PostgreSQL'}, tables of version {latest_revision()}, can be written to",
    )
    if server is not None:
        skew = abs(server - utc_now())
        state: State = "ok" if skew < MAX_CLOCK_SKEW else "error"
        yield CheckResult(
            "clock",
            state,
            f"{skew.total_seconds():.1f} s from the database's" + ("" if state == "ok" else "; set it by NTP"),
        )
    else:
        yield CheckResult("clock", "ok", "the database's is this machine's own")
    seen = health.take_snapshot(store, now)
    for finding in watchdog.find_stuck_steps(seen):
        yield CheckResult(
            finding.step, "warning", f"{finding.summary}; is a worker running? (passaparola up, or deliver --watch)"
        )
    for finding in watchdog.find_open_questions(seen):
        yield CheckResult(finding.step, "warning", f"{finding.summary}; {finding.action}")
    store.close()


def _check_secret(settings: Settings) -> Iterator[CheckResult]:
    if settings.secret_key:
        short = len(settings.secret_key) < 32
        yield CheckResult(
            "secret key", "warning" if short else "ok", "shorter than 32 characters" if short else "from the settings"
        )
    else:
        yield CheckResult(
            "secret key",
            "warning",
            f"made by itself; keep a copy of {settings.var / 'secret_key'}, with another one old links die",
        )


def _check_senders(settings: Settings) -> Iterator[CheckResult]:
    chosen = [
        settings.email_channel,
        *(
            []
            if settings.social_channel == "mailbox"
            else [n for n in registry.sender_names() if registry.sender_class(n).public]
        ),
    ]
    for name in chosen:
        try:
            registry.sender_class(name)()
            yield CheckResult(
                name,
                "ok",
                "has what it needs; nothing leaves the house" if name == "mailbox" else "has what it needs to speak",
            )
        except Misconfigured as error:
            yield CheckResult(name, "error" if name == settings.email_channel else "warning", str(error))


def _check_receivers(settings: Settings) -> Iterator[CheckResult]:
    """Check that each receiver has its secret; without one, the channel that sends learns nothing of its messages."""
    for name in registry.receiver_names():
        try:
            registry.webhook_class(name)().verify({}, b"", utc_now())
            has = True
        except Misconfigured:
            has = False
        except (Forged, ValueError):
            has = True
        except PassaparolaError:
            continue
        if has:
            yield CheckResult(f"receives {name}", "ok", f"a secret is set for POST /webhooks/{name}")
        elif name == settings.email_channel and issubclass(type(registry.webhook_class(name)()), Webhook):
            yield CheckResult(
                f"receives {name}",
                "warning",
                "no secret is set, so nothing is known of deliveries, bounces and complaints",
            )


def _check_public_url(settings: Settings) -> Iterator[CheckResult]:
    local = "127.0.0.1" in settings.public_url or "localhost" in settings.public_url
    if local:
        yield CheckResult(
            "public URL",
            "warning",
            f"{settings.public_url} leads nowhere for your contacts; set PASSAPAROLA_PUBLIC_URL",
        )
        return
    if not settings.public_url.startswith("https://"):
        yield CheckResult(
            "public URL",
            "error",
            f"{settings.public_url} is not https: one-click unsubscribes and signed callbacks need it",
        )
    try:
        with urllib.request.urlopen(f"{settings.public_url}/healthz", timeout=5) as response:
            yield CheckResult("public URL", "ok", f"{settings.public_url} answers {response.status}")
    except OSError as error:
        yield CheckResult(
            "public URL", "error", f"{settings.public_url}/healthz does not answer ({type(error).__name__})"
        )


def _check_domain(settings: Settings) -> Iterator[CheckResult]:
    """Check SPF, DMARC and DKIM of the sender's domain (RFC 7208, 7489 and 6376): since 2024 Gmail and Yahoo refuse
    bulk senders without all three."""
    domain = settings.sender_email.rpartition("@")[2]
    if domain.endswith((".example", ".test", ".invalid")):
        yield CheckResult("sender", "warning", f"{domain} is nobody's domain; set PASSAPAROLA_SENDER_EMAIL")
        return
    spf = [text for text in _lookup_txt(domain) if text.startswith("v=spf1")]
    yield CheckResult(
        "SPF", *_single_record(spf, f"{domain} has no v=spf1 record: mailboxes can't tell who may send for it")
    )
    dmarc = [record for record in _lookup_txt(f"_dmarc.{domain}") if record.upper().startswith("V=DMARC1")]
    yield CheckResult("DMARC", *_single_record(dmarc, f"_dmarc.{domain} has no v=DMARC1 record"))
    keys = [
        name for name in DKIM_SELECTORS if any("p=" in record for record in _lookup_txt(f"{name}._domainkey.{domain}"))
    ]
    finding = (
        f"a key is published under {', '.join(keys)}"
        if keys
        else f"no key under {', '.join(DKIM_SELECTORS)}; your provider names its own"
    )
    yield CheckResult("DKIM", "ok" if keys else "warning", finding)


def _single_record(records: list[str], otherwise: str) -> tuple[State, str]:
    if len(records) == 1:
        return "ok", records[0][:120]
    return ("error", otherwise) if not records else ("error", f"{len(records)} records where one is allowed")


def _lookup_txt(name: str) -> list[str]:
    """Return TXT records. Raises Misconfigured: no name server answers."""
    import dns.exception
    import dns.resolver

    resolver = dns.resolver.Resolver()
    resolver.lifetime = 4.0
    try:
        return [b"".join(record.strings).decode("utf-8", "replace") for record in resolver.resolve(name, "TXT")]
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return []
    except dns.exception.DNSException as error:
        raise Misconfigured(
            f"no name server answers for {name} ({type(error).__name__}); SPF, DKIM and DMARC were not looked at"
        ) from None


def _check_disk(settings: Settings) -> Iterator[CheckResult]:
    settings.var.mkdir(parents=True, exist_ok=True)
    left = shutil.disk_usage(settings.var)
    state: State = "ok" if left.free > MIN_FREE_BYTES else "warning" if left.free > MIN_FREE_BYTES // 8 else "error"
    yield CheckResult("disk", state, f"{left.free / 2**30:.1f} GB left for {settings.var}")


def _check_prefect(settings: Settings) -> Iterator[CheckResult]:
    import os

    api = os.environ.get("PREFECT_API_URL")
    if not api:
        yield CheckResult(
            "Prefect", "warning", "PREFECT_API_URL is not set: no buttons and no clocks; `passaparola up` brings them"
        )
        return
    try:
        with urllib.request.urlopen(f"{api}/health", timeout=5):
            yield CheckResult("Prefect", "ok", f"answers at {api}")
    except OSError as error:
        yield CheckResult(
            "Prefect", "warning", f"does not answer at {api} ({type(error).__name__}); the consumer goes on without it"
        )
