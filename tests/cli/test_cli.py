"""The engineer's door, as a shell meets it: one sentence for every mistake, exit codes, JSON for programs."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from passaparola.settings import Settings
from passaparola.store.database import Store
from passaparola.store.models import Launch
from tests.conftest import NOW, ROOT, fresh
from tests.forked import Done, run
from tests.people import crowd


@pytest.fixture
def database(migrated: dict[str, str], tmp_path: Path) -> Iterator[str]:
    """What commands say does not depend on the database; what they do to it is tested in its own room, on both."""
    with fresh("sqlite", migrated, tmp_path) as address:
        yield address


def test_what_a_user_types_is_what_the_other_tests_run(settings: Settings) -> None:
    typed = subprocess.run(
        [sys.executable, "-m", "passaparola.cli.main", "check"], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert Done(typed.returncode, typed.stdout, typed.stderr) == run("check")


def test_a_campaign_goes_out_without_any_prefect_server_and_says_so_in_json(store: Store, settings: Settings) -> None:
    crowd(store, 30, NOW)
    done = run("campaign", "send", "hello", "--yes", "--json", PREFECT_API_URL="http://127.0.0.1:9/api")
    found = json.loads(done.stdout)
    assert (done.returncode, found["audience"], found["sent"], found["held"], found["failed"], found["unknown"]) == (
        0,
        30,
        30,
        0,
        0,
        0,
    ), done.stderr
    again = json.loads(run("campaign", "send", "hello", "--yes", "--json").stdout)
    assert (again["sent"], again["held"]) == (0, 30)
    assert json.loads(run("report", "hello", "--json").stdout)["launch"] == again["launch"]
    story = json.loads(run("why", "reader3@example.org", str(found["launch"]), "--json").stdout)
    assert story["story"][-1]["what"] == "email: sent"


def test_without_yes_and_without_a_terminal_nothing_is_sent(store: Store, settings: Settings) -> None:
    crowd(store, 3, NOW)
    done = run("campaign", "send", "hello")
    assert done.returncode == 1
    assert "Nothing was sent" in done.stderr


def test_a_file_comes_in_and_an_audience_is_counted(store: Store, settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text("email,paese\na@example.org,Italia\nb@example.org,Narnia\n")
    tally = json.loads(run("import", str(path), "--consent", "newsletter", "--source", "the fair", "--json").stdout)
    assert (tally["new"], tally["rejected"], tally["consents"]) == (1, 1, 1)
    assert json.loads(run("audience", "count", 'country = "IT"', "--json").stdout) == {
        "audience": 'country = "IT"',
        "count": 1,
    }
    explained = json.loads(
        run("audience", "explain", "consents to newsletter", "--contact", "a@example.org", "--json").stdout
    )
    assert explained["holds"] is True


MISTAKES = [
    (("campaign", "send", "helo", "--yes"), "did you mean “hello”?"),
    (("report", "hello"), "has not been launched yet"),
    (("audience", "count", 'contry = "IT"'), "did you mean “country”?"),
    (("import", "nowhere.csv"), "there is no such file"),
    (("why", "who@example.org", "hello"), "There is no contact"),
    (("campaign", "pause", "99"), "There is no launch 99"),
    (("import", "nowhere.csv", "--consent", "newsletter"), "--consent needs --source"),
]


@pytest.mark.parametrize(("arguments", "says"), MISTAKES)
def test_every_mistake_is_one_sentence(store: Store, settings: Settings, arguments: tuple[str, ...], says: str) -> None:
    done = run(*arguments)
    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr + done.stdout


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"PASSAPAROLA_DATABASE_URL": "mysql://x"}, "must begin with sqlite:/// or postgresql+psycopg://"),
        ({"PASSAPAROLA_DATABASE_URL": "postgresql+psycopg://127.0.0.1:9/x"}, "cannot be opened"),
        ({"PASSAPAROLA_DATABASE_URL": "nonsense"}, "not a database address"),
        ({"PASSAPAROLA_EMAIL_CHANNEL": "pigeon"}, "PASSAPAROLA_EMAIL_CHANNEL"),
        ({"PASSAPAROLA_FREQUENCY_CAP": "often"}, "PASSAPAROLA_FREQUENCY_CAP"),
    ],
)
def test_a_wrong_setting_is_named(settings: Settings, environment: dict[str, str], says: str) -> None:
    done = run("audience", "count", "everyone", **environment)
    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_database_of_another_version_is_left_alone(store: Store, settings: Settings) -> None:
    with store.write() as session:
        session.connection().exec_driver_sql("UPDATE alembic_version SET version_num = '0000'")
    done = run("audience", "count", "everyone")
    assert done.returncode == 1
    assert "passaparola db upgrade" in done.stderr


def test_a_full_disk_is_said_and_breaks_nothing(settings: Settings, store: Store, tmp_path: Path) -> None:
    if not store.on_sqlite:
        pytest.skip("the limit is SQLite's own")
    crowd(store, 2_000, NOW)
    with store.engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    path = tmp_path / "more.csv"
    path.write_text("email\n" + "".join(f"new{n}@example.org\n" for n in range(20_000)))
    code = (
        "import passaparola.store.database as s; old = s._configure_sqlite\n"
        "def full(engine):\n"
        "    old(engine)\n"
        "    from sqlalchemy import event\n"
        f"    event.listen(engine, 'connect', lambda dbapi, record: dbapi.execute('PRAGMA max_page_count={pages + 50}'))\n"
        "s._configure_sqlite = full\n"
        "import sys; from passaparola.cli import main; sys.argv[1:] = ['import', sys.argv[1]]; main.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "full" in done.stderr
    assert "Traceback" not in done.stderr
    with store.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar_one() == "ok"
    assert json.loads(run("import", str(path), "--json").stdout)["rows"] == 20_000


def test_check_names_file_line_and_remedy(settings: Settings) -> None:
    template = settings.home / "templates" / "hello" / "email.mjml"
    template.write_text(template.read_text().replace("contact.first_name }}", 'contact.first_name | default("you") }}'))
    assert run("check").returncode == 0
    (settings.home / "campaigns" / "bad.yaml").write_text(
        "title: Bad\ntopic: newsletter\nentre: {audience: readers}\nsteps: []\n"
    )
    (settings.home / "audiences" / "bad.yaml").write_text('title: Bad\nwho: contry = "IT"\n')
    (settings.home / "templates" / "hello" / "email.it.mjml").write_text(
        "---\nsubject: Ciao {{ contact.nickname }}\n---\n<mj-section><mj-column><mj-text>x</mj-text></mj-column></mj-section>\n"
    )
    done = run("check")
    assert done.returncode == 1
    assert "campaigns/bad.yaml:3: “entre” is not a field here; did you mean “enter”?" in done.stderr
    assert "audiences/bad.yaml" in done.stderr
    assert "templates/hello/email.it.mjml: for Anna, “nickname” is missing" in done.stderr


@pytest.mark.parametrize(
    "broken",
    [
        "title: [",
        "- a\n- b\n",
        "",
        "title: x\ntopic: 9 lives\nenter: {audience: readers}\nsteps: [{say: hello, by: [email]}]\n",
        "title: x\ntopic: t\nenter: {audience: nobody}\nsteps: [{say: hello, by: [email]}]\n",
        "title: x\ntopic: t\nenter: {audience: readers}\nsteps: [{say: hello, by: [pigeon]}]\n",
    ],
)
def test_broken_yaml_is_an_error_with_a_place(settings: Settings, broken: str) -> None:
    (settings.home / "campaigns" / "broken.yaml").write_text(broken)
    done = run("campaign", "preview", "broken")
    assert done.returncode == 1
    assert "campaigns/broken.yaml" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_taken_port_is_refused_in_a_sentence(settings: Settings) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = run("up", "--port", str(taken.getsockname()[1]))
    assert done.returncode == 1
    assert "is taken by another program" in done.stderr


DRIP = "title: A drip\ntopic: newsletter\nenter: {audience: readers}\nsteps:\n  - {say: hello, by: [email]}\n  - wait: 7 days\n  - {say: goodbye, by: [email]}\n"


@pytest.mark.parametrize("enter", ["enter: {audience: readers}", "enter: {on: signed_up}"])
def test_an_edited_drip_that_is_sent_again_is_a_new_launch(enter: str, store: Store, settings: Settings) -> None:
    crowd(store, 3, NOW)
    folder = settings.home / "templates" / "goodbye"
    folder.mkdir()
    (folder / "email.mjml").write_text(
        (settings.home / "templates" / "hello" / "email.mjml").read_text().replace("Dear", "Bye")
    )
    path = settings.home / "campaigns" / "drip.yaml"
    path.write_text(DRIP.replace("enter: {audience: readers}", enter))
    first = json.loads(run("campaign", "send", "drip", "--yes", "--json").stdout)
    same = run("campaign", "send", "drip", "--yes", "--json")
    if "audience" in enter:  # it goes on where it stopped
        assert json.loads(same.stdout)["launch"] == first["launch"]
    else:
        assert "already stands" in same.stderr
    path.write_text(path.read_text().replace("7 days", "3 days"))
    edited = run("campaign", "send", "drip", "--yes", "--json")
    assert json.loads(edited.stdout)["launch"] == first["launch"] + 1
    assert "with earlier words, is still under way" in edited.stderr
    with store.read() as session:
        assert session.get_one(Launch, first["launch"] + 1).content["steps"][1]["wait"] == "3 days"
    run("campaign", "stop", "drip")
    path.write_text(path.read_text().replace("3 days", "2 days"))
    assert json.loads(run("campaign", "send", "drip", "--yes", "--json").stdout)["launch"] == first["launch"] + 2
    path.write_text(path.read_text().replace("topic:", "topik:"))
    broken = run("campaign", "send", "drip", "--yes", "--json")
    assert (broken.returncode, broken.stdout) == (1, "")
    assert "campaigns/drip.yaml:2: “topik” is not a field here; did you mean “topic”?" in broken.stderr


@pytest.mark.parametrize("command", ["up", "demo", "web"])
def test_the_ports_are_in_the_help(command: str) -> None:
    shown = run(command, "--help").stdout
    assert "--port" in shown
    assert ("--prefect-port" in shown) is (command != "web")


def test_every_command_has_help() -> None:
    for command in (
        "import",
        "audience",
        "campaign",
        "contact",
        "why",
        "report",
        "deliver",
        "web",
        "db",
        "check",
        "up",
        "demo",
    ):
        assert run(command, "--help").returncode == 0, command
    assert run("nonsense").returncode == 2


def test_a_drip_is_rehearsed_started_looked_at_and_stopped(store: Store, settings: Settings) -> None:
    crowd(store, 5, NOW)
    (settings.home / "campaigns" / "drip.yaml").write_text(
        "title: A drip\ntopic: newsletter\nenter: {on: signed_up}\nsteps:\n  - {say: hello, by: [email]}\n"
    )
    seen = json.loads(run("campaign", "rehearse", "drip", "--days", "7", "--json").stdout)
    assert (seen["people"], seen["sent"], seen["assumed"]) == (5, 5, ["everyone does signed_up at the start"])
    shown = run("campaign", "rehearse", "drip", "--assume", "survey_answered score=9")
    assert (shown.returncode, "Nothing was sent." in shown.stdout) == (0, True)
    assert "can't be assumed" in run("campaign", "rehearse", "drip", "--assume", "Everybody is happy").stderr
    assert run("campaign", "send", "drip", "--yes", "--json").returncode == 0
    (status,) = json.loads(run("campaign", "status", "drip", "--json").stdout)
    assert (status["state"], status["accepting"], status["entered"]) == ("running", True, 0)
    assert "already stands" in run("campaign", "send", "drip", "--yes").stderr
    assert "Nobody is under way" in run("campaign", "move", "drip").stderr
    assert run("campaign", "stop", "drip").returncode == 0
    assert "is not taking people in" in run("campaign", "stop", "drip").stderr
    assert json.loads(run("intake", "status", "--json").stdout) == {"sources": {}, "invalid": []}
    assert json.loads(run("intake", "replay", "--from", "2026-01-01", "--json").stdout) == {
        "bodies": 0,
        "new_events": {},
    }
