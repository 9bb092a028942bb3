"""What guards us, taken away one by one: each time a test must turn red.

python -m tests.mutants [name …]. Each mutant is a piece of a file, what it becomes, and the tests that must see it. They run
in a copy of the project, on SQLite, one after the other.
"""

import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
FEEDBACK, CONSOLE, SIGNUP = "tests/inbound/test_feedback.py", "tests/web/test_console.py", "tests/web/test_signup.py"
GUARDS, EVENTS, TALK = (
    "tests/outbox/test_guards.py",
    "tests/channels/test_sendgrid_events.py",
    "tests/conversations/test_threads.py",
)
LETTERS, MERGING, ERASURE, LISTEN = (
    "tests/channel/test_inbound_email.py",
    "tests/contacts/test_merging.py",
    "tests/privacy/test_erasure.py",
    "tests/operations/test_polling.py",
)
LEDGER = "tests/faults/test_the_ledger.py"
NETWORKS = "tests/outbox/test_networks.py"


@dataclass(frozen=True)
class Mutant:
    name: str
    file: str
    was: str
    becomes: str
    tests: str
    only: str = ""


MUTANTS = [
    # Who is believed
    Mutant("an event's signature is not looked at", "channels/sendgrid/receiver.py", "            _public_key(key, setting).verify(signature, stamp.encode() + body, ECDSA(SHA256()))\n", "", EVENTS),
    Mutant("the timestamp is not signed", "channels/sendgrid/receiver.py", "stamp.encode() + body", "body", EVENTS),
    Mutant("an old event is as good as a new one", "channels/sendgrid/receiver.py", "if signed_at is None or not -MAX_CLOCK_SKEW <= now - signed_at <= MAX_AGE:", "if signed_at is None:", EVENTS),
    Mutant("any curve will do", "channels/sendgrid/receiver.py", " or not isinstance(key.curve, SECP256R1)", "", EVENTS),
    Mutant("X's signature is not looked at", "channels/twitter/receiver.py", "        verify_signature(body, [signature_from_base64(signature)], secrets)\n", "", LISTEN, "signature"),
    Mutant("a message's name needs no signature", "passaparola/channel/message_ids.py", "return message if message and hmac.compare_digest(signature, _signature(secret, message)) else \"\"", "return message", LETTERS),
    Mutant("a webhook is answered before it is kept", "passaparola/web/webhooks.py", "        await group_commit.store_body(new)\n", "        pass\n", "tests/web/test_webhooks.py", "on_disk_byte_for_byte"),
    Mutant("a click is answered before it is kept", "passaparola/web/links.py", "        await store_link_event(\n            new_link_event(ref.message, \"clicked\"", "        (\n            new_link_event(ref.message, \"clicked\"", "tests/web/test_links.py", "frozen_content_says"),
    Mutant("Facebook's signature is not looked at", "channels/facebook/receiver.py", "        verify_signature(body, [signature_from_hex(signature)], secrets)\n", "", "tests/channels/test_facebook.py"),
    Mutant("Telegram's secret is not looked at", "channels/telegram/receiver.py", "        if not any(held):\n", "        if False:\n", "tests/channels/test_telegram.py"),
    Mutant("Twilio's signature is not looked at", "channels/_twilio.py", "        if not any(held):\n", "        if False:\n", "tests/channels/test_sms.py"),
    Mutant("any name in a callback will do", "channels/_twilio.py", "message = read_signed_id(get_settings().secret, query.get(\"m\", \"\"))", "message = query.get(\"m\", \"\").partition(\".\")[0]", "tests/channels/test_sms.py"),
    Mutant("a feed leads anywhere", "channels/feeds.py", "                where = _same_site(where, response.headers.get(\"Location\", \"\"))\n", "                where = urljoin(where, response.headers.get(\"Location\", \"\"))\n", "tests/channels/test_feeds.py"),
    # What the forty faults found
    Mutant("a rest is one batch's", "passaparola/outbox/record.py", "                if isinstance(outcome, Slower):\n", "                if False:\n", LEDGER, "left_alone"),
    Mutant("one channel may have every lane", "passaparola/outbox/deliver.py", "if calls >= max(self.concurrency - 1, 1)", "if calls > self.concurrency", LEDGER, "last_lane"),
    Mutant("a spare lane asks again and again", "passaparola/outbox/deliver.py", "self.launch, self.clock(), self._skip_channels()\n", "self.launch, self.clock(), ()\n", LEDGER, "asks_for_nothing"),
    Mutant("a busy database ends the worker", "passaparola/store/database.py", "    return isinstance(error, OperationalError | InterfaceError) or", "    return False and", LEDGER, "busy"),
    Mutant("a look-up trusts the call's own time", "passaparola/outbox/reconcile.py", "func.coalesce(col(Attempt.finished_at), col(Attempt.started_at))", "col(Attempt.started_at)", LEDGER, "clock_that_jumps"),
    Mutant("an event is told as often as it comes", "passaparola/contacts/events.py", "    new = [event for name, event in by_name.items() if name in first]", "    new = list(by_name.values())", "tests/inbound/test_pipeline.py", "any_order or playing"),
    Mutant("what is not due is claimed", "passaparola/outbox/claim.py", "col(Batch.due_at) <= now,", "", GUARDS, "put_off"),
    Mutant("a late worker writes over a newer one", "passaparola/outbox/record.py", "ours = batch.fence == reserved.fence and", "ours =", GUARDS, "late_worker"),
    Mutant("an endless head is read", "passaparola/web/server.py", "        if self.head > MAX_HEAD_BYTES:\n", "        if False:\n", "tests/web/test_server.py", "head"),
    Mutant("one visitor's mistake is everybody's", "passaparola/web/group_commit.py", "            if len(group) == 1:", "            if True:", "tests/web/test_group_commit.py"),
    Mutant("a body begins a line with a dot", "passaparola/channel/mime.py", "if encoded[:1] == b\".\" or b\"\\n.\" in encoded\n", "if False\n", "tests/channel/test_mime.py"),
    Mutant("what a server said is taken for the next message's", "channels/smtp/sender.py", "                await wire.write(current.body, *ahead)\n", "                await wire.write(*ahead, current.body)\n", "tests/channels/test_smtp_wire.py"),
    Mutant("the figures are for everybody", "passaparola/web/metrics.py", "if not token or not hmac", "if token and not hmac", "tests/web/test_health.py"),
    Mutant("a log names people", "passaparola/operations/logs.py", "        if clean != text:\n", "        if False:\n", "tests/operations/test_logs.py"),
    # The networks
    Mutant("a network's yes is enough", "passaparola/outbox/deliver.py", "            return await confirm_visible(channel, result)\n", "            return result\n", NETWORKS, "never_appears"),
    Mutant("what never appeared is posted again", "passaparola/outbox/reconcile.py", "        if not receipts:\n", "        if True:\n", NETWORKS, "never_appears"),
    Mutant("a paused channel is called again", "passaparola/outbox/claim.py", "        *(incident.channel for incident in incidents.open_incidents(session) if incident.direction == \"sending\"),\n", "", NETWORKS, "mended"),
    Mutant("WhatsApp writes freely at any time", "passaparola/outbox/guards.py", "    if context.window:\n", "    if False:\n", NETWORKS, "whatsapp"),
    Mutant("each try has another key", "channels/bluesky/sender.py", "int(dispatch.since.timestamp() * 1_000_000)", "int(datetime.now(UTC).timestamp() * 1_000_000)", "tests/channels/test_bluesky.py tests/channels/test_contract.py"),
    Mutant("Mastodon is given no key", "channels/mastodon/sender.py", "idempotency_key=key, ", "", "tests/channels/test_mastodon.py"),
    Mutant("who passed the word on is known against their will", "passaparola/inbound/link_events.py", "and (row.kind not in NEEDS_TRACKING or (passage.contact, row.medium) in tracked)", "and True", "tests/web/test_referrals.py", "after_a_no"),
    Mutant("STOP waits its turn", "channels/_twilio.py", "return _is_opt_out(form) or form", "return form", "tests/channels/test_sms.py"),
    # What comes back
    Mutant("a complaint silences only one topic", "passaparola/inbound/suppression.py", " and reason != \"complaint\" else \"\"", " else \"\"", FEEDBACK, "complaint"),
    Mutant("a hard bounce does nothing", "passaparola/inbound/suppression.py", "        return \"hard bounce\"\n", "        pass\n", FEEDBACK, "hard"),
    Mutant("soft bounces are never counted", "passaparola/inbound/suppression.py", "        _suppress_soft_bouncing(session, contacts, now)\n", "        pass\n", FEEDBACK, "soft"),
    Mutant("content counts against the address", "passaparola/inbound/suppression.py", "if soft and row.properties.get(\"counts\", True) and", "if soft and", FEEDBACK, "reputation"),
    Mutant("something delivered does not begin the count anew", "passaparola/inbound/suppression.py", " and (arrived is None or row.at > arrived)", "", FEEDBACK, "delivered_in_between"),
    Mutant("machines count as people", "passaparola/contacts/activity.py", "[~col(Event.machine), *", "[*", FEEDBACK, "machine"),
    Mutant("a scanner's burst is not seen", "passaparola/inbound/react.py", "machines.judge_touches(session, touched) if touched else set()", "set()", FEEDBACK, "machine or scanner"),
    Mutant("noes wait their turn", "passaparola/inbound/pipeline.py", "        kinds += _apply_urgent(store, settings, clock)\n", "", FEEDBACK, "noes_go_first"),
    Mutant("the first reason that is told stays", "passaparola/contacts/consent.py", "        if _outweighs(reason, at, existing):\n", "        if False:\n", FEEDBACK, "permutation"),
    Mutant("of one moment, the yes", "passaparola/contacts/audience/compile.py", "func.coalesce(yes > no,", "func.coalesce(yes >= no,", "tests/contacts/test_audience.py", "plain_reading"),
    Mutant("a letter silences whoever it names", "passaparola/inbound/identify.py", " or (incoming.addresses and message.contact not in owned):", ":", FEEDBACK, "anyone_could_write"),
    Mutant("what comes back of the forgotten is kept", "passaparola/inbound/identify.py", "        resolved = self._without_forgotten(resolved)\n", "", ERASURE, "comes_back"),
    Mutant("feedback makes acquaintances", "passaparola/channel/receiver.py", "MESSAGE_FEEDBACK_KINDS = FEEDBACK_KINDS - {", "MESSAGE_FEEDBACK_KINDS = FEEDBACK_KINDS - {\"delivered\", \"complained\", ", FEEDBACK, "acquaintance"),
    Mutant("one event of a request proves nothing of the others", "passaparola/outbox/evidence.py", "if proved and sender_class(attempt.channel).all_or_nothing:", "if False:", FEEDBACK, "doubt"),
    Mutant("a resubscribe at the provider is a yes", "passaparola/inbound/suppression.py", "topic or \"*\", False, at=row.at", "topic or \"*\", event.kind != \"unsubscribed\", at=row.at", FEEDBACK, "complaint or permutation"),
    # Who is written to
    Mutant("the suppressed are written to", "passaparola/outbox/guards.py", "        (suppressed.is_not(None), literal(HoldReason.SUPPRESSED.prefix) + suppressed),\n", "", GUARDS, "says_why or reserved"),
    Mutant("a no is not asked for", "passaparola/outbox/guards.py", "False: said_no}", "False: null()}", GUARDS, "says_why or reserved"),
    Mutant("who was never asked is written to", "passaparola/outbox/guards.py", "value=consent, else_=unasked)", "value=consent, else_=null())", GUARDS, "says_why"),
    Mutant("a pause is not kept", "passaparola/outbox/guards.py", "        (col(Contact.paused_until) > _instant(\"now\"), literal(HoldReason.PAUSED.text())),\n", "", SIGNUP, "pause"),
    Mutant("how often they want is not kept", "passaparola/outbox/guards.py", "weekly >= col(Contact.max_per_week)", "null() >= weekly", SIGNUP, "pause"),
    Mutant("selling goes before care", "passaparola/outbox/guards.py", "        (care.is_not(None), literal(HoldReason.CARE_FIRST.prefix) + care),\n", "", TALK, "complaint"),
    Mutant("what was held for care never goes out", "passaparola/outbox/answer.py", "    return _resume_held(session, conversation.contact_id, actor, now)\n", "    return 0\n", TALK, "complaint"),
    Mutant("an answer reaches the suppressed", "passaparola/outbox/guards.py", "        return case(*checks, else_=case({False: muted}, value=consent, else_=null()) if topic else null())\n", "        return null()  # type: ignore[return-value]\n", TALK, "silenced"),
    Mutant("a muted topic goes on", "passaparola/outbox/guards.py", "case({False: muted}, value=consent, else_=null()) if topic else null()", "null()", "tests/outbox/test_transactional.py", "until_they_mute"),
    Mutant("the same words are said twice", "passaparola/outbox/guards.py", "    if context.twin_of:\n", "    if False:\n", GUARDS, "same_words"),
    Mutant("two launches at once hold each other", "passaparola/outbox/repeats.py", "col(Launch.id) < launch)", "col(Launch.id) != launch)", GUARDS, "at_once"),
    Mutant("a letter is read under the lock", "passaparola/inbound/pipeline.py", "    parsed = [parse_body(row, settings.secret) for row in bodies]\n    with store.write() as session:\n", "    with store.write() as session:\n        session.execute(text(\"SELECT 1\"))\n        parsed = [parse_body(row, settings.secret) for row in bodies]\n", "tests/inbound/test_parse.py", "nothing_is_locked"),
    Mutant("a block list gives an address up", "passaparola/channel/bounces.py", "    if US.search(plain):\n        return \"us\"\n", "", "tests/channel/test_bounces.py"),
    # The doors
    Mutant("following the link unsubscribes", "passaparola/web/unsubscribe.py", "@router.get(\"/u/{token}\")\ndef unsubscribe_page", "@router.get(\"/u/{token}/page\")\ndef unsubscribe_page", "tests/web/test_links.py", "unsubscribe or wrong"),
    Mutant("following the link confirms", "passaparola/web/signup.py", "        return render_page(request, \"confirm.html\", row.language or None, done=row.state == \"confirmed\")", "        signup.confirm_signup(session, get_settings(), id_ or 0, {}, utc_now())\n        return render_page(request, \"confirm.html\", row.language or None, done=False)", SIGNUP, "second_yes"),
    Mutant("a confirmation never expires", "passaparola/contacts/signup.py", "    if now - row.asked_at > CONFIRMATION_VALID:\n        return None\n", "", SIGNUP, "too_late"),
    Mutant("every sign-up gets a letter", "passaparola/contacts/signup.py", "    return None if session.execute(recent.limit(1)).scalar() is not None else known.contact_id", "    return known.contact_id", SIGNUP, "flood"),
    Mutant("nobody counts the sign-ups", "passaparola/web/signup.py", " and limiter.hit(PER_NETWORK_LIMIT, network)", "", SIGNUP, "flood"),
    Mutant("my data needs no fresh link", "passaparola/web/privacy.py", " or utc_now().timestamp() > int(until)", "", SIGNUP, "my_data"),
    Mutant("the console lets everybody in", "passaparola/web/console/auth.py", "    if member is None or not member.active or not hmac.compare_digest(member.session_key, entry):\n            raise NotLoggedIn\n".replace("    if", "        if", 1), "        if member is None:\n            raise NotLoggedIn\n", CONSOLE, "ends_their_sessions"),
    Mutant("roles are not asked for", "passaparola/web/console/auth.py", "        if not member_.may(needed):\n            raise Forbidden(f\"That takes the role {needed}.\")\n        return member_\n\n    member.needed = needed", "        return member_\n\n    member.needed = needed", CONSOLE, "role_is_let_in"),
    Mutant("a change needs no token", "passaparola/web/console/auth.py", " and hmac.compare_digest(str(form.get(\"token\", \"\")), member_.token)", "", CONSOLE, "elsewhere"),
    Mutant("a change may come from anywhere", "passaparola/web/console/auth.py", "        if not (_is_same_origin(request) and hmac", "        if not (hmac", CONSOLE, "elsewhere"),
    Mutant("passwords may be tried for ever", "passaparola/web/console/auth.py", "    allowed = limiter.hit(LOGIN_LIMIT, network) and limiter.hit(LOGIN_LIMIT, f\"as {name[:100]}\")", "    allowed = True", CONSOLE, "ten_tries"),
    Mutant("contacts' words are markup", "passaparola/web/console/auth.py", "pages = Jinja2Templates(Path(__file__).parent.parent / \"pages\" / \"console\")", "pages = Jinja2Templates(Path(__file__).parent.parent / \"pages\" / \"console\")\npages.env.autoescape = False", CONSOLE, "runs_nowhere"),
    # Memory
    Mutant("the forgotten are not silenced", "passaparola/privacy/erasure.py", "        consent.suppress(session, address.medium, address.key, FORGOTTEN, at=now, source=actor)\n", "        pass\n", ERASURE, "silent"),
    Mutant("bodies outlive the person", "passaparola/privacy/erasure.py", "    _scrub_bodies(session, words)\n", "", ERASURE, "not_a_byte"),
    Mutant("files outlive the person", "passaparola/privacy/erasure.py", "    with store.write() as session:\n        everyone = _merged_rows(session, contact_id)\n        words = _identifying_words(session, everyone)\n        messages = _erase_rows(session, everyone, words, actor, now)\n    _erase_files(settings, words, messages)\n", "    with store.write() as session:\n        everyone = _merged_rows(session, contact_id)\n        words = _identifying_words(session, everyone)\n        _erase_rows(session, everyone, words, actor, now)\n", ERASURE, "not_a_byte"),
    Mutant("freed pages are not overwritten", "passaparola/store/database.py", "            \"secure_delete=ON\",  #", "            \"secure_delete=OFF\",  #", ERASURE, "not_a_byte"),
    Mutant("the write-ahead log is kept", "passaparola/store/database.py", "                raw.execute(\"PRAGMA wal_checkpoint(TRUNCATE)\")\n", "                pass\n", ERASURE, "not_a_byte"),
    Mutant("a merged row is a member of its own", "passaparola/contacts/audience/__init__.py", " & col(Contact.merged_into).is_(None)", "", MERGING, "holds_for_the_one"),
    Mutant("a shared telephone is one person", "passaparola/contacts/matching.py", "    sure = any(medium not in media() for medium in addresses)\n", "    sure = True\n", MERGING, "telephone"),
    Mutant("an undone merge keeps what it took", "passaparola/contacts/unmerging.py", "    for name in row.fields:\n        _restore_field(kept, name, row)\n", "", MERGING, "nothing_lost"),
    Mutant("a row cut off the audit's end is not missed", "passaparola/store/audit_chain.py", "    if (seal.number, seal.link) != (number, before) if seal else number:\n", "    if False:\n", "tests/store/test_audit_chain.py"),
    Mutant("the audit's detail is not in its hash", "passaparola/store/audit_chain.py", "        \"detail\": row.detail,\n", "", "tests/store/test_audit_chain.py"),
]  # fmt: skip


def main() -> None:
    wanted = [mutant for mutant in MUTANTS if not sys.argv[1:] or any(word in mutant.name for word in sys.argv[1:])]
    alive = []
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copy = Path(folder) / "project"
        shutil.copytree(
            ROOT,
            copy,
            symlinks=True,
            ignore=shutil.ignore_patterns(".venv", ".git", "var", "*.db", "__pycache__", ".*_cache", ".hypothesis"),
        )
        for number, mutant in enumerate(wanted, 1):
            killed = _killed(copy, mutant)
            alive += [] if killed else [mutant.name]
            print(f"{number:3}/{len(wanted)} {'killed' if killed else 'ALIVE '} {mutant.name}", flush=True)
    print(f"{len(wanted) - len(alive)} of {len(wanted)} killed ({1 - len(alive) / len(wanted):.0%})")
    sys.exit(1 if len(alive) > len(wanted) * 0.05 else 0)


def _killed(copy: Path, mutant: Mutant) -> bool:
    path = copy / mutant.file
    whole = path.read_text()
    if whole.count(mutant.was) != 1:
        sys.exit(f"{mutant.name}: {mutant.file} holds {whole.count(mutant.was)} times\n{mutant.was}")
    path.write_text(whole.replace(mutant.was, mutant.becomes))
    chosen = f"({mutant.only}) and not postgresql" if mutant.only else "not postgresql"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-x",
        "-p",
        "no:cacheprovider",
        "-k",
        chosen,
        *mutant.tests.split(),
    ]
    try:
        done = subprocess.run(command, cwd=copy, capture_output=True, text=True, timeout=120)
        if done.returncode not in (0, 1, 2):
            sys.exit(f"{mutant.name}: pytest ended with {done.returncode}\n{done.stdout[-800:]}{done.stderr[-800:]}")
        return done.returncode != 0
    except subprocess.TimeoutExpired:
        return True
    finally:
        path.write_text(whole)


if __name__ == "__main__":
    main()
