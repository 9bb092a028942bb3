"""Audiences: the question, how many answer it now, who for example, and why one person does or does not."""

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from passaparola.contacts import audience
from passaparola.errors import BadContent, PassaparolaError
from passaparola.settings import get_settings
from passaparola.store.database import utc_now
from passaparola.web.console.auth import Member, render_page, require_role
from passaparola.web.link_context import store

router = APIRouter()


@router.get("/audiences")
def audiences(request: Request, q: str = "", member: Member = Depends(require_role("reader"))) -> Response:
    """Show the audiences of the files, and the answer to a question of the moment, which is not stored."""
    settings = get_settings()
    with store().read() as session:
        words = audience.load_catalogue(session, settings)
        rows: list[tuple[str, str, int | None]] = []
        for name in audience.audience_names(settings.home):
            try:
                loaded = audience.load_audience(settings.home, name)
                rows.append(
                    (
                        name,
                        loaded.title,
                        audience.count_members(session, audience.Question.parse(name, words), utc_now()),
                    )
                )
            except BadContent as error:
                rows.append((name, error.message, None))
        query, problem, count, sample = q.strip()[:2_000], "", None, []
        if query:
            try:
                question = audience.Question.parse(query, words)
                count, sample = (
                    audience.count_members(session, question, utc_now()),
                    audience.sample_members(session, question, utc_now()),
                )
            except PassaparolaError as error:
                problem = str(error)
        return render_page(
            request, "audiences.html", member, rows=rows, q=q, problem=problem, count=count, sample=sample
        )


@router.get("/audiences/{name}")
def audience_page(
    request: Request, name: str, contact: str = "", member: Member = Depends(require_role("reader"))
) -> Response:
    settings = get_settings()
    with store().read() as session:
        loaded = audience.load_audience(settings.home, name)
        question = audience.Question.parse(name, audience.load_catalogue(session, settings))
        now = utc_now()
        verdicts = (
            audience.explain_contact(session, question, int(contact), now)
            if contact.isdigit() and len(contact) < 19
            else []
        )
        return render_page(
            request,
            "audience.html",
            member,
            name=name,
            found=loaded,
            count=audience.count_members(session, question, now),
            sample=audience.sample_members(session, question, now, 20),
            verdicts=verdicts,
            contact=contact,
        )
