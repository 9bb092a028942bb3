"""One person: everything on one line of time, what they allow and how we know, where they are reached, who they may
also be."""

from typing import Any

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from sqlalchemy import func, or_, select
from sqlmodel import Session, col

from passaparola import engine
from passaparola.contacts import duplicates, merging, unmerging
from passaparola.contacts.audience.compile import latest_consent
from passaparola.contacts.timeline import contact_timeline as timeline_of
from passaparola.errors import Unknown
from passaparola.privacy import export
from passaparola.reports import people as report
from passaparola.reports.themes import find_themes
from passaparola.settings import get_settings
from passaparola.store.database import utc_now
from passaparola.store.models import Address, Consent, Contact, Merge, Proposal, Suppression
from passaparola.web.console.auth import Member, render_page, require_form, require_role
from passaparola.web.link_context import store

router = APIRouter()
PAGE_SIZE = 50


@router.get("/people")
def people(request: Request, q: str = "", member: Member = Depends(require_role("reader"))) -> Response:
    """Search contacts by name or address, above the counts of all."""
    with store().read() as session:
        rows = []
        if words := q.strip().lower()[:100]:
            reached = select(col(Address.contact_id)).where(col(Address.value).contains(words, autoescape=True))
            name = func.lower(
                func.coalesce(col(Contact.first_name), "") + " " + func.coalesce(col(Contact.last_name), "")
            )
            chosen = select(Contact).where(or_(col(Contact.id).in_(reached), name.contains(words, autoescape=True)))
            alive = chosen.where(col(Contact.erased_at).is_(None), col(Contact.merged_into).is_(None))
            rows = list(session.execute(alive.order_by(col(Contact.id)).limit(PAGE_SIZE)).scalars())
        proposals = (
            select(Proposal).where(col(Proposal.state) == "open").order_by(col(Proposal.score).desc()).limit(PAGE_SIZE)
        )
        return render_page(
            request,
            "people.html",
            member,
            q=q,
            rows=rows,
            proposals=list(session.execute(proposals).scalars()),
            lifecycles=report.count_lifecycles(session),
            balance=report.compare_online_offline(session),
            currency=get_settings().currency,
            themes=find_themes(session, utc_now()),
        )


@router.post("/people/look")
def propose(member: Member = Depends(require_form("marketer"))) -> Response:
    with store().write() as session:
        duplicates.propose_duplicates(session, utc_now())
    return RedirectResponse("/console/people", 303)


@router.get("/people/{id_}")
def person(request: Request, id_: int, member: Member = Depends(require_role("reader"))) -> Response:
    with store().read() as session:
        contact = session.get(Contact, merging.resolve_contact(session, id_))
        if contact is None:
            raise Unknown(f"There is no contact {id_}.")
        if contact.id != id_:
            return RedirectResponse(f"/console/people/{contact.id}", 303)
        return render_page(
            request, "person.html", member, person=contact, moments=timeline_of(session, id_), **_facts(session, id_)
        )


def _facts(session: Session, id_: int) -> dict[str, Any]:
    """Load what the page shows of one contact: addresses, consents, proposals and merges."""
    addresses = list(
        session.execute(
            select(Address).where(col(Address.contact_id) == id_).order_by(col(Address.medium), col(Address.rank))
        ).scalars()
    )
    keys = [address.key for address in addresses]
    silenced = {
        s.key: s.reason for s in session.execute(select(Suppression).where(col(Suppression.key).in_(keys))).scalars()
    }
    consents = list(
        session.execute(
            select(Consent)
            .where(col(Consent.contact_id) == id_)
            .order_by(col(Consent.at).desc(), col(Consent.id).desc())
        ).scalars()
    )
    pairs = sorted({(consent.medium, consent.topic) for consent in consents if consent.topic != "*"})
    holds = [(m, t, bool(session.execute(select(latest_consent(id_, m, t))).scalar())) for m, t in pairs]
    proposals = list(
        session.execute(
            select(Proposal).where(
                col(Proposal.state) == "open", or_(col(Proposal.one_id) == id_, col(Proposal.other_id) == id_)
            )
        ).scalars()
    )
    merges = list(
        session.execute(select(Merge).where(col(Merge.kept_id) == id_).order_by(col(Merge.id).desc())).scalars()
    )
    return {
        "addresses": addresses,
        "silenced": silenced,
        "consents": consents,
        "holds": holds,
        "proposals": proposals,
        "merges": merges,
    }


@router.post("/people/{id_}/merge")
def merge(id_: int, other: int = Form(), member: Member = Depends(require_form("marketer"))) -> Response:
    with store().write() as session:
        row = merging.merge(
            session, get_settings(), id_, other, actor=member.name, now=utc_now(), reasons=[f"decided by {member.name}"]
        )
        kept_id = row.kept_id
    return RedirectResponse(f"/console/people/{kept_id}", 303)


@router.post("/people/{id_}/unmerge")
def unmerge(id_: int, merge: int = Form(), member: Member = Depends(require_form("marketer"))) -> Response:
    with store().write() as session:
        unmerging.unmerge(session, get_settings(), merge, actor=member.name, now=utc_now())
    return RedirectResponse(f"/console/people/{id_}", 303)


@router.post("/people/proposals/{id_}/refuse")
def refuse(id_: int, member: Member = Depends(require_form("marketer"))) -> Response:
    with store().write() as session:
        proposal = session.get(Proposal, id_)
        if proposal is None:
            raise Unknown(f"There is no proposal {id_}.")
        proposal.state, proposal.decided_by = "refused", member.name
    return RedirectResponse("/console/people", 303)


@router.get("/people/{id_}/export")
def exported(id_: int, member: Member = Depends(require_role("admin"))) -> Response:
    with store().read() as session:
        data = export.export_contact(session, id_, utc_now())
    return JSONResponse(
        data, headers={"Content-Disposition": f'attachment; filename="contact-{id_}.json"', "Cache-Control": "no-store"}
    )


@router.post("/people/{id_}/erase")
def erase(id_: int, sure: str = Form(""), member: Member = Depends(require_form("admin"))) -> Response:
    if sure == "yes":
        engine.erase_contact(store(), get_settings(), id_, actor=member.name, now=utc_now())
    return RedirectResponse("/console/people", 303)
