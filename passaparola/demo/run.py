"""The shop in a few minutes: filled, started, the spring campaign sent through Prefect as a marketer would, an order
followed up, and a town of customers who open, buy, complain and write back through the real doors, until the
inbox fills.

python -m passaparola.demo.run [--once] [--contacts 5000] [--port 8000] [--prefect-port 4200]
"""

import asyncio
import os
import shutil
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
from passaparola.demo import marketer, orders, shop
from passaparola.demo.customers import Customers
from passaparola.demo.marketer import WAITS, Late
from passaparola.demo.provider import FACEBOOK_SECRET, PUBLIC_KEY, X_SECRET
from passaparola.errors import Misconfigured
from passaparola.journeys import launch
from passaparola.operations import polling
from passaparola.operations.commands import argument_parser, run_command, say
from passaparola.operations.prefect_settings import prefect_files
from passaparola.operations.project import create_project
from passaparola.operations.stack import Stack, describe_urls, run_stack
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
    settings = _own_settings()
    _fill(settings, given.contacts)
    with run_stack(settings, given.port, given.prefect_port) as stack:
        customers = Customers(f"http://127.0.0.1:{stack.port}", settings.var / "mailbox" / "email", SHOP_SECRET)
        try:
            _run_show(settings, stack, customers)
        except Late as late:
            if given.once:
                raise
            say(f"{late} This machine is busy; everything stays up, so that you can look yourself.")
        say(
            describe_urls(stack)
            + f"  Console      http://127.0.0.1:{stack.port}/console   as {MEMBER}, password: {PASSWORD}\n"
        )
        if not given.once:
            say("Ctrl-C stops everything.")
            stack.watch()
        customers.stop()


def _run_show(settings: Settings, stack: Stack, customers: Customers) -> None:
    """Send the campaign, follow up an order, send the survey. Raises Late."""
    asyncio.run(marketer.send(stack, CAMPAIGN, say))
    _show_report(settings)
    _follow_up_order(settings, stack)
    customers.start()
    _send_survey(settings)
    _await_reactions(settings, customers, stack.port)


def _own_settings() -> Settings:
    """Make the demo's settings: a folder of its own, new each time, and the mailbox as the channel. The real store
    is never touched."""
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
    """Return the project that we are in; outside of any, one of the demo's own beside us."""
    try:
        return find_home()
    except Misconfigured:
        if os.environ.get("PASSAPAROLA_HOME"):
            raise
    project = Path.cwd() / "passaparola-demo"
    if not (project / "campaigns").is_dir():
        create_project(project)
        say(f"{project} is a project now, with the shop's content in it; delete it whenever you like.")
    return project


def _fill(settings: Settings, size: int) -> None:
    folder = settings.var / "import"
    folder.mkdir(parents=True)
    store = Store(settings.database).open()
    for path in shop.write_files(folder, size, utc_now()):
        with open_table(path) as table:
            mapping = ColumnMapping(columns=guess_columns(table.header))
        tally = Import(store, settings, path, mapping).run(utc_now())
        say(
            f"{path.name}: {tally.rows:,} rows, {tally.new:,} people, {tally.consents:,} consents, "
            f"{tally.purchases:,} purchases"
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


def _show_report(settings: Settings) -> None:
    store = Store(settings.database)
    with store.read() as session:
        tally = ledger.tally_launch(session, ledger.latest_launch(session, CAMPAIGN))
    say(f"\n{CAMPAIGN}, launch {tally.launch}: {tally.state}\n  audience {tally.audience:,}")
    for state in ("sent", "held", "failed", "unknown"):
        say(f"  {state:8} {tally.total(state):,}")
    for reason, count in tally.reasons.items():
        say(f"           {count:,} {reason}")
    for post in tally.posts:
        say(f"  post on {branding_of(post.medium).title}: {post}")
    store.close()


def _follow_up_order(settings: Settings, stack: Stack) -> None:
    """Start the follow-up, send an order as the shop would, and wait for its thank-you in the mailbox."""
    store = Store(settings.database)
    freeze = freezer(settings)
    made = launch.prepare(store, settings, FOLLOW_UP, freeze, actor="the demo", now=utc_now())
    launch.approve(store, settings, made.id or 0, made.hash, freeze, approver="Marta", now=utc_now())
    launch.release(store, made.id or 0, actor="the demo", now=utc_now())
    store.close()
    box = settings.var / "mailbox" / "email" / "new"
    before, began = {path.name for path in box.iterdir()}, time.monotonic()
    orders.send_order(f"http://127.0.0.1:{stack.port}/webhooks/shopify", SHOP_SECRET, utc_now())
    say(f"\n{FOLLOW_UP}, launch {made.id}, stands. The shop says that Giulia has ordered …")
    while time.monotonic() - began < WAITS:
        if new := {path.name for path in box.iterdir()} - before:
            url = f"http://127.0.0.1:{stack.port}/mailbox/{sorted(new)[0]}"
            say(f"  her thank-you was sent {time.monotonic() - began:.1f} seconds later: {url}")
            return
        time.sleep(0.1)
    raise Late(f"No thank-you came within {WAITS} seconds; the log is {stack.logs / 'consumer.log'}")


def _send_survey(settings: Settings) -> None:
    """Start the quarterly survey, whose answers come back with one tap."""
    store, freeze = Store(settings.database), freezer(settings)
    made = launch.prepare(store, settings, SURVEY, freeze, actor="the demo", now=utc_now())
    launch.approve(store, settings, made.id or 0, made.hash, freeze, approver="Marta", now=utc_now())
    engine.start_launch(store, settings, made.id or 0, actor="the demo", now=utc_now())
    store.close()
    say(f"\n{SURVEY}, launch {made.id}, asks those who keep coming back. The customers read their mail …")


def _await_reactions(settings: Settings, customers: Customers, port: int) -> None:
    """Wait until what the customers do has been recorded; what is late is named, and the demo goes on."""
    store, began = Store(settings.database), time.monotonic()
    while True:
        time.sleep(2)
        with store.read() as session:
            campaign, survey = (report.build_report(session, settings, name) for name in (CAMPAIGN, SURVEY))
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
            say(f"  This machine is busy; still to come: {coming}. The logs are in {settings.var / 'log'}")
            break
    polling.run_maintenance(store, settings, utc_now(), everything=True)
    say(f"  posts as each network shows them: http://127.0.0.1:{port}/timeline")
    say("  " + ", ".join(f"{count:,} {what}" for what, count in customers.done.most_common()))
    say(
        f"  the report: {emails.delivered:,} delivered, {emails.opened:,} opened and {emails.clicked:,} clicked by "
        "people "
        f"({emails.machine_opened:,} and {emails.machine_clicked:,} by machines), {emails.bounced:,} bounced, "
        f"{campaign.orders:,} orders after a click\n  the survey: {answers.answered:,} answers; the inbox: "
        f"{waiting:,} conversations wait"
    )
    store.close()


if __name__ == "__main__":
    run_command(main)
