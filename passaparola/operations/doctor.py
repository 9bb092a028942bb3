"""Whether all that a house needs is there, asked from outside in: one line for each thing, with what to do where it is not.

`well`: as it should be · `odd`: it works, and someone should look · `ill`: it does not work.
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
from passaparola.settings import Settings, settings
from passaparola.store.database import Store, newest, utc_now

State = Literal["well", "odd", "ill"]
DISK = 2 * 2**30  # bytes below which someone should make room
SKEW = timedelta(seconds=5)
SELECTORS = ("s1", "s2", "default", "mail", "dkim", "google", "selector1")  # under which providers publish their keys


@dataclass(frozen=True)
class Checked:
    what: str
    state: State
    says: str


def examined() -> list[Checked]:
    """Everything, however ill some of it is."""
    own = settings()
    found: list[Checked] = []
    for check in (_store, _secret, _speaking, _hearing, _address, _domain, _disk, _prefect):
        try:
            found += list(check(own))
        except PassaparolaError as error:
            found.append(Checked(check.__name__.strip("_"), "ill", str(error)))
        except Exception as error:  # one organ that can't be examined keeps none of the others from it
            found.append(Checked(check.__name__.strip("_"), "ill", f"could not be examined ({type(error).__name__})"))
    return found


def _store(own: Settings) -> Iterator[Checked]:
    store = Store(own.database, patience=5).open()
    now = utc_now()
    with store.write() as session:
        session.execute(text("UPDATE seal SET id = id WHERE false"))
        server = None if store.on_sqlite else session.execute(text("SELECT clock_timestamp()")).scalar()
    yield Checked(
        "store",
        "well",
        f"{'SQLite' if store.on_sqlite else 'PostgreSQL'}, tables of version {newest()}, can be written to",
    )
    if server is not None:
        skew = abs(server - utc_now())
        state: State = "well" if skew < SKEW else "ill"
        yield Checked(
            "clock",
            state,
            f"{skew.total_seconds():.1f} s from the database's" + ("" if state == "well" else "; set it by NTP"),
        )
    else:
        yield Checked("clock", "well", "the database's is this machine's own")
    seen = health.seen(store, now)
    for finding in watchdog.idle(seen):
        yield Checked(finding.step, "odd", f"{finding.says}; is a worker running? (passaparola up, or deliver --watch)")
    for finding in watchdog.waits(seen):
        yield Checked(finding.step, "odd", f"{finding.says}; {finding.asks}")
    store.close()


def _secret(own: Settings) -> Iterator[Checked]:
    if own.secret_key:
        short = len(own.secret_key) < 32
        yield Checked(
            "secret key", "odd" if short else "well", "shorter than 32 characters" if short else "from the settings"
        )
    else:
        yield Checked(
            "secret key",
            "odd",
            f"made by itself; keep a copy of {own.var / 'secret_key'}, with another one old links die",
        )


def _speaking(own: Settings) -> Iterator[Checked]:
    chosen = [
        own.email_channel,
        *([] if own.social_channel == "mailbox" else [n for n in registry.names() if registry.get(n).public]),
    ]
    for name in chosen:
        try:
            registry.get(name)()
            yield Checked(
                name,
                "well",
                "has what it needs; nothing leaves the house" if name == "mailbox" else "has what it needs to speak",
            )
        except Misconfigured as error:
            yield Checked(name, "ill" if name == own.email_channel else "odd", str(error))


def _hearing(own: Settings) -> Iterator[Checked]:
    """An ear with a secret believes what is signed; of the channel that speaks, one without hears nothing of its letters."""
    for name in registry.ears():
        try:
            registry.webhook(name)().delivery({}, b"", utc_now())
            has = True
        except Misconfigured:
            has = False
        except (Forged, ValueError):
            has = True
        except PassaparolaError:
            continue
        if has:
            yield Checked(f"hears {name}", "well", f"a secret is set for POST /webhooks/{name}")
        elif name == own.email_channel and issubclass(type(registry.webhook(name)()), Webhook):
            yield Checked(
                f"hears {name}", "odd", "no secret is set, so nothing is known of deliveries, bounces and complaints"
            )


def _address(own: Settings) -> Iterator[Checked]:
    local = "127.0.0.1" in own.public_url or "localhost" in own.public_url
    if local:
        yield Checked(
            "public URL", "odd", f"{own.public_url} leads nowhere for your contacts; set PASSAPAROLA_PUBLIC_URL"
        )
        return
    if not own.public_url.startswith("https://"):
        yield Checked(
            "public URL", "ill", f"{own.public_url} is not https: one-click unsubscribes and signed callbacks need it"
        )
    try:
        with urllib.request.urlopen(f"{own.public_url}/healthz", timeout=5) as answer:
            yield Checked("public URL", "well", f"{own.public_url} answers {answer.status}")
    except OSError as error:
        yield Checked("public URL", "ill", f"{own.public_url}/healthz does not answer ({type(error).__name__})")


def _domain(own: Settings) -> Iterator[Checked]:
    """RFC 7208, 7489 and 6376, by DNS. Since 2024 Gmail and Yahoo refuse bulk senders without all three."""
    domain = own.sender_email.rpartition("@")[2]
    if domain.endswith((".example", ".test", ".invalid")):
        yield Checked("sender", "odd", f"{domain} is nobody's domain; set PASSAPAROLA_SENDER_EMAIL")
        return
    spf = [said for said in _told(domain) if said.startswith("v=spf1")]
    yield Checked("SPF", *_one(spf, f"{domain} has no v=spf1 record: mailboxes can't tell who may send for it"))
    dmarc = [said for said in _told(f"_dmarc.{domain}") if said.upper().startswith("V=DMARC1")]
    yield Checked("DMARC", *_one(dmarc, f"_dmarc.{domain} has no v=DMARC1 record"))
    keys = [name for name in SELECTORS if any("p=" in said for said in _told(f"{name}._domainkey.{domain}"))]
    says = (
        f"a key is published under {', '.join(keys)}"
        if keys
        else f"no key under {', '.join(SELECTORS)}; your provider names its own"
    )
    yield Checked("DKIM", "well" if keys else "odd", says)


def _one(records: list[str], otherwise: str) -> tuple[State, str]:
    if len(records) == 1:
        return "well", records[0][:120]
    return ("ill", otherwise) if not records else ("ill", f"{len(records)} records where one is allowed")


def _told(name: str) -> list[str]:
    """TXT records. Raises Misconfigured: no name server answers."""
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


def _disk(own: Settings) -> Iterator[Checked]:
    own.var.mkdir(parents=True, exist_ok=True)
    left = shutil.disk_usage(own.var)
    state: State = "well" if left.free > DISK else "odd" if left.free > DISK // 8 else "ill"
    yield Checked("disk", state, f"{left.free / 2**30:.1f} GB left for {own.var}")


def _prefect(own: Settings) -> Iterator[Checked]:
    import os

    api = os.environ.get("PREFECT_API_URL")
    if not api:
        yield Checked(
            "Prefect", "odd", "PREFECT_API_URL is not set: no buttons and no clocks; `passaparola up` brings them"
        )
        return
    try:
        with urllib.request.urlopen(f"{api}/health", timeout=5):
            yield Checked("Prefect", "well", f"answers at {api}")
    except OSError as error:
        yield Checked(
            "Prefect", "odd", f"does not answer at {api} ({type(error).__name__}); the consumer goes on without it"
        )
