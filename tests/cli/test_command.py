"""What every command does: it is given the store, and its result is a table for people and JSON for programs."""

import io
import json
import unicodedata
from unittest.mock import patch

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from typer.testing import CliRunner

from passaparola.cli import output
from passaparola.cli.campaign_views import show_outcome
from passaparola.cli.command import CommandContext, Result, command
from passaparola.reports.figures import CampaignReport, ComparisonGroup, FunnelCounts
from passaparola.settings import Settings
from passaparola.store.database import Store

ROWS = [{"name": "anna", "orders": 12}, {"name": "ben", "orders": 3}]


def _app(function: object, **more: object) -> typer.Typer:
    app = typer.Typer()
    app.callback()(lambda: None)
    command(app, "it")(function)  # type: ignore[arg-type]
    return app


def _printed(show: object) -> str:
    """What a person sees in a terminal of 80 columns."""
    stream = io.StringIO()
    console = Console(file=stream, width=80, highlight=False, soft_wrap=True)
    with patch.dict(output.out.__dict__, {"console": console}):
        show()  # type: ignore[operator]
    return stream.getvalue()


def test_a_result_is_a_table_for_people_and_json_for_programs() -> None:
    def it(context: CommandContext) -> Result:
        """List them."""
        return Result.of_rows(ROWS)

    app = _app(it)
    assert json.loads(CliRunner().invoke(app, ["it", "--json"]).stdout) == ROWS
    shown = CliRunner().invoke(app, ["it"]).stdout
    assert "anna" in shown
    assert "{" not in shown


def test_a_command_is_given_the_project_s_settings_and_its_store(store: Store, settings: Settings) -> None:
    def it(context: CommandContext) -> str:
        """Ask it."""
        with context.store.read():
            return f"{context.settings.home == settings.home}"

    assert CliRunner().invoke(_app(it), ["it"]).stdout == "True\n"


def test_a_sentence_has_no_json_and_a_context_is_no_option() -> None:
    def it(context: CommandContext, name: str) -> str:
        """Say it."""
        return name

    shown = CliRunner().invoke(_app(it), ["it", "--help"]).stdout
    assert "--json" not in shown
    assert "context" not in shown.lower()


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_a_failure_is_shown_and_ends_with_1(more: list[str]) -> None:
    def it() -> Result:
        """Fail."""
        return Result({"wrong": True}, lambda: output.out.print("it is wrong"), failure="")

    done = CliRunner().invoke(_app(it), ["it", *more])
    assert (done.exit_code, "wrong" in done.stdout) == (1, True)


CELLS = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=200))


@given(st.integers(1, 9).flatmap(lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=1)))
def test_no_table_is_wider_than_a_terminal(cells: list[list[object]]) -> None:
    rows = [{f"column {number}": cell for number, cell in enumerate(row)} for row in cells]
    for line in _printed(lambda: output.print_table(rows)).splitlines():
        wide = sum(
            2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in line if not unicodedata.combining(sign)
        )
        assert wide <= 80 or not line.isprintable(), line


def test_what_came_of_a_campaign_is_told_in_sentences() -> None:
    outcome = CampaignReport(
        "spring",
        [1],
        "EUR",
        media={
            "email": FunnelCounts(
                planned=100,
                sent=90,
                left=90,
                reached=85,
                delivered=85,
                opened=40,
                clicked=10,
                bounced=5,
                machine_opened=12,
            ),
            "sms": FunnelCounts(planned=3, sent=3, left=3),
        },
        written_to=ComparisonGroup(1000, 300, 5000),
        held_out=ComparisonGroup(1000, 100, 900),
        last_touch=12_345,
        orders=4,
        costs={"email": 10.0},
    )
    shown = _printed(lambda: show_outcome(outcome))
    assert "email: 85 delivered, 40 opened (47.1%" in shown
    assert "machines, not counted: 12 opened, 0 clicked" in shown
    assert "sms: delivered: unknown, nobody reports it" in shown
    assert "lift over those held out: +20.0%" in shown
    assert "orders after a click: 4, worth 123.45 EUR" in shown
