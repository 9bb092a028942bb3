"""The shop in a few minutes: filled, started, the spring campaign sent through Prefect as a marketer would, an order followed up,
and a town of customers who open, buy, complain and write back through the real doors, until the inbox fills.

python -m passaparola.demo.run [--once] [--contacts 5000] [--port 8000] [--prefect-port 4200]
"""

import asyncio
import os
import shutil
import sys
import time
from pathlib import Path

from sqlalchemy import func
from sqlmodel import col, select

from passaparola import engine
from passaparola.channel.registry import branding_of
from passaparola.contacts import staff
from passaparola.contacts.consent import suppress
from passaparola.contacts.imports.columns import ColumnMapping, guess_columns
from passaparola.contacts.imports.importing import Import
from passaparola.contacts.imports.tables import open_table
from passaparola.demo import marketer, shop
from passaparola.demo.customers import FACEBOOK_SECRET, PUBLIC_KEY, X_SECRET, Customers
from passaparola.demo.marketer import WAITS, Late
from passaparola.errors import Misconfigured
from passaparola.journeys import launch
from passaparola.operations import polling
from passaparola.operations.project import create_project
from passaparola.operations.stack import Stack, argument_parser, describe_urls, prefect_files, run_command, run_stack
from passaparola.outbox import ledger
from passaparola.outbox.render.frozen import freezer
from passaparola.reports import campaign as report
from passaparola.settings import Settings, find_home, get_settings
from passaparola.store.database import Store, utc_now
from passaparola.store.models import Address, Conversation

CAMPAIGN = "spring_launch"
FOLLOW_UP = "post_purchase"
SURVEY = "one_question"
MEMBER, PASSWORD = "marta", "honey from the valley"
SHOP_SECRET = "the demo's own shop"
ORDERS_WAIT = 60  # seconds; of few customers perhaps nobody orders


def main() -> None:
    parser = argument_parser("Show a small shop at work.")
    parser.add_argument("--once", action="store_true", help="leave after the report")
    parser.add_argument("--contacts", type=int, default=5_000)
    given = parser.parse_args()
    own = _own_settings()
    _fill(own, given.contacts)
    with run_stack(own, given.port, given.prefect_port) as stack:
        town = Customers(f"http://127.0.0.1:{stack.port}", own.var / "mailbox" / "email", SHOP_SECRET)
        try:
            _run_show(own, stack, town)
        except Late as late:
            if given.once:
                raise
            _say(f"{late} This machine is busy; everything stays up, so that you can look yourself.")
        _say(
            describe_urls(stack)
            + f"  Console      http://127.0.0.1:{stack.port}/console   as {MEMBER}, password: {PASSWORD}\n"
        )
        if not given.once:
            _say("Ctrl-C stops everything.")
            stack.watch()
        town.stop()


def _run_show(own: Settings, stack: Stack, town: Customers) -> None:
    """Raises Late."""
    asyncio.run(marketer.send(stack, CAMPAIGN, _say))
    _show_report(own)
    _follow_up_order(own, stack)
    town.start()
    _send_survey(own)
    _await_reactions(own, town, stack.port)


def _own_settings() -> Settings:
    """A demo never touches the real store: it has its own folder, new each time, and the mailbox for a channel."""
    home = _find_or_create_project()
    os.environ["PASSAPAROLA_HOME"] = str(home)
    var = home / "var" / "demo"
    shutil.rmtree(var, ignore_errors=True)
    for name in [name for name in os.environ if name.startswith("PASSAPAROLA_") and name != "PASSAPAROLA_HOME"]:
        del os.environ[name]
    os.environ |= {
        "PASSAPAROLA_VAR": str(var),
        "PASSAPAROLA_EMAIL_CHANNEL": "mailbox",
        "PASSAPAROLA_SOCIAL_CHANNEL": "mailbox",
        "PASSAPAROLA_SHOPIFY_SECRET": SHOP_SECRET,
        "PASSAPAROLA_SENDGRID_WEBHOOK_PUBLIC_KEY": PUBLIC_KEY,
        "PASSAPAROLA_SENDGRID_INBOUND_PUBLIC_KEY": PUBLIC_KEY,
        "PASSAPAROLA_TWITTER_CONSUMER_SECRET": X_SECRET,
        "PASSAPAROLA_FACEBOOK_APP_SECRET": FACEBOOK_SECRET,
        "PASSAPAROLA_COST_PER_MESSAGE": "email 0.0009, twitter 0.2",
    }
    os.environ["PASSAPAROLA_DATABASE_URL"] = f"sqlite:///{var / 'passaparola.db'}"
    get_settings.cache_clear()
    shutil.rmtree(prefect_files(get_settings()), ignore_errors=True)
    return get_settings()


def _find_or_create_project() -> Path:
    """The project that we are in; outside of any, one of the demo's own beside us."""
    try:
        return find_home()
    except Misconfigured:
        if os.environ.get("PASSAPAROLA_HOME"):
            raise
    own = Path.cwd() / "passaparola-demo"
    if not (own / "campaigns").is_dir():
        create_project(own)
        _say(f"{own} is a project now, with the shop's content in it; delete it whenever you like.")
    return own


def _fill(own: Settings, size: int) -> None:
    folder = own.var / "import"
    folder.mkdir(parents=True)
    store = Store(own.database).open()
    for path in shop.write_files(folder, size, utc_now()):
        with open_table(path) as table:
            mapping = ColumnMapping(columns=guess_columns(table.header))
        tally = Import(store, own, path, mapping).run(utc_now())
        _say(
            f"{path.name}: {tally.rows:,} rows, {tally.new:,} people, {tally.consents:,} consents, {tally.purchases:,} purchases"
        )
    with store.write() as session:  # a year of writing to people leaves its marks: mailboxes that are no more
        gone = session.exec(
            select(col(Address.key)).where(col(Address.contact_id) % 97 == 0, col(Address.medium) == "email")
        ).all()
        for key in gone:
            suppress(session, "email", key, "hard bounce", at=utc_now(), source="the demo")
    with store.write() as session:
        staff.add_staff(session, MEMBER, "admin", PASSWORD, actor="the demo", now=utc_now())
    store.close()


def _show_report(own: Settings) -> None:
    store = Store(own.database)
    with store.read() as session:
        found = ledger.tally_launch(session, ledger.latest_launch(session, CAMPAIGN))
    _say(f"\n{CAMPAIGN}, launch {found.launch}: {found.state}\n  audience {found.audience:,}")
    for state in ("sent", "held", "failed", "unknown"):
        _say(f"  {state:8} {found.total(state):,}")
    for reason, count in found.reasons.items():
        _say(f"           {count:,} {reason}")
    for post in found.posts:
        _say(f"  post on {branding_of(post.medium).title}: {post}")
    store.close()


def _follow_up_order(own: Settings, stack: Stack) -> None:
    """The follow-up stands, the shop says that Giulia ordered, and her thank-you lies in the mailbox."""
    store = Store(own.database)
    freeze = freezer(own)
    made = launch.prepare(store, own, FOLLOW_UP, freeze, actor="the demo", now=utc_now())
    launch.approve(store, own, made.id or 0, made.hash, freeze, approver="Marta", now=utc_now())
    launch.release(store, made.id or 0, actor="the demo", now=utc_now())
    store.close()
    box = own.var / "mailbox" / "email" / "new"
    before, began = {path.name for path in box.iterdir()}, time.monotonic()
    shop.send_order(f"http://127.0.0.1:{stack.port}/webhooks/shopify", SHOP_SECRET, utc_now())
    _say(f"\n{FOLLOW_UP}, launch {made.id}, stands. The shop says that Giulia has ordered …")
    while time.monotonic() - began < WAITS:
        if new := {path.name for path in box.iterdir()} - before:
            url = f"http://127.0.0.1:{stack.port}/mailbox/{sorted(new)[0]}"
            _say(f"  her thank-you was sent {time.monotonic() - began:.1f} seconds later: {url}")
            return
        time.sleep(0.1)
    raise Late(f"No thank-you came within {WAITS} seconds; the log is {stack.logs / 'consumer.log'}")


def _send_survey(own: Settings) -> None:
    """The quarterly survey goes out: its answers come back with one tap."""
    store, freeze = Store(own.database), freezer(own)
    made = launch.prepare(store, own, SURVEY, freeze, actor="the demo", now=utc_now())
    launch.approve(store, own, made.id or 0, made.hash, freeze, approver="Marta", now=utc_now())
    engine.start_launch(store, own, made.id or 0, actor="the demo", now=utc_now())
    store.close()
    _say(f"\n{SURVEY}, launch {made.id}, asks those who keep coming back. The customers read their mail …")


def _await_reactions(own: Settings, town: Customers, port: int) -> None:
    """Wait until what the customers do has come home; what is late is named, and the demo goes on."""
    store, began = Store(own.database), time.monotonic()
    while True:
        time.sleep(2)
        with store.read() as session:
            campaign, survey = (report.build_report(session, own, name) for name in (CAMPAIGN, SURVEY))
            waiting = session.exec(select(func.count()).where(col(Conversation.state) == "open")).one()
        emails, answers = campaign.media["email"], survey.media["email"]
        late = {
            "deliveries": emails.delivered < 0.4 * emails.sent,
            "clicks": not emails.clicked,
            "answers to the survey": not answers.answered,
            "conversations": waiting < 5,
            "orders after a click": not campaign.orders and time.monotonic() - began < ORDERS_WAIT,
        }
        if not any(late.values()):
            break
        if time.monotonic() - began > WAITS:
            coming = ", ".join(what for what, is_late in late.items() if is_late)
            _say(f"  This machine is busy; still to come: {coming}. The logs are in {own.var / 'log'}")
            break
    polling.run_maintenance(store, own, utc_now(), everything=True)
    _say(f"  posts as each network shows them: http://127.0.0.1:{port}/timeline")
    _say("  " + ", ".join(f"{count:,} {what}" for what, count in town.done.most_common()))
    _say(
        f"  the report: {emails.delivered:,} delivered, {emails.opened:,} opened and {emails.clicked:,} clicked by people "
        f"({emails.machine_opened:,} and {emails.machine_clicked:,} by machines), {emails.bounced:,} bounced, "
        f"{campaign.orders:,} orders after a click\n  the survey: {answers.answered:,} answers; the inbox: {waiting:,} conversations wait"
    )
    store.close()


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    run_command(main)
