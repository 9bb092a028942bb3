"""Audiences: the question, how many answer it now, who for example, and why one person does or does not."""

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from passaparola.contacts import audience
from passaparola.errors import BadContent, PassaparolaError
from passaparola.settings import settings
from passaparola.store.database import utc_now
from passaparola.web.console.auth import Member, page, reads
from passaparola.web.link_context import store

router = APIRouter()


@router.get("/audiences")
def audiences(request: Request, q: str = "", member: Member = Depends(reads("reader"))) -> Response:
    """Those in the files; or a question of the moment, put and not kept."""
    own = settings()
    with store().read() as session:
        words = audience.catalogue(session, own)
        rows: list[tuple[str, str, int | None]] = []
        for name in audience.names(own.home):
            try:
                one = audience.load(own.home, name)
                rows.append((name, one.title, audience.count(session, audience.Question.of(name, words), utc_now())))
            except BadContent as error:
                rows.append((name, error.message, None))
        asked, problem, count, sample = q.strip()[:2_000], "", None, []
        if asked:
            try:
                question = audience.Question.of(asked, words)
                count, sample = (
                    audience.count(session, question, utc_now()),
                    audience.sample(session, question, utc_now()),
                )
            except PassaparolaError as error:
                problem = str(error)
        return page(request, "audiences.html", member, rows=rows, q=q, problem=problem, count=count, sample=sample)


@router.get("/audiences/{name}")
def one(request: Request, name: str, contact: str = "", member: Member = Depends(reads("reader"))) -> Response:
    own = settings()
    with store().read() as session:
        found = audience.load(own.home, name)
        question = audience.Question.of(name, audience.catalogue(session, own))
        now = utc_now()
        verdicts = (
            audience.explain(session, question, int(contact), now) if contact.isdigit() and len(contact) < 19 else []
        )
        return page(
            request, "audience.html", member, name=name, found=found, count=audience.count(session, question, now),
            sample=audience.sample(session, question, now, 20), verdicts=verdicts, contact=contact,
        )  # fmt: skip
