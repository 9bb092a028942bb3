"""Staff of the console: argon2 passwords, four roles, and a session key that ends old sessions when something
changes."""

import secrets
from datetime import datetime

from pwdlib import PasswordHash
from sqlmodel import Session

from passaparola.errors import NotAllowed, Unknown, did_you_mean
from passaparola.store.database import audit
from passaparola.store.models import Staff

ROLES = ("reader", "care", "marketer", "admin")  # each may do what the ones before it may
MIN_PASSWORD_CHARS = 12
HASH = PasswordHash.recommended()
DUMMY_HASH = HASH.hash(secrets.token_urlsafe(16))  # so that an unknown name takes as long as a wrong password


def add_staff(session: Session, name: str, role: str, password: str, *, actor: str, now: datetime) -> None:
    """Add a member of staff. Raises NotAllowed, Unknown."""
    if role not in ROLES:
        raise Unknown(f"“{role}” is not a role{did_you_mean(role, ROLES)}")
    if len(password) < MIN_PASSWORD_CHARS:
        raise NotAllowed(f"A password has {MIN_PASSWORD_CHARS} characters at least.")
    if session.get(Staff, name):
        raise NotAllowed(f"“{name}” works here already; change them with `passaparola staff change {name}`.")
    session.add(
        Staff(name=name, role=role, password=HASH.hash(password), session_key=secrets.token_urlsafe(16), created_at=now)
    )
    audit(session, now, actor, "hired", f"staff:{name}", role=role)


def change_staff(
    session: Session,
    name: str,
    *,
    actor: str,
    now: datetime,
    role: str | None = None,
    password: str | None = None,
    active: bool | None = None,
) -> None:
    """Change a colleague's role, password or access. Every open session of theirs ends. Raises Unknown, NotAllowed."""
    member = session.get(Staff, name)
    if member is None:
        raise Unknown(f"Nobody called “{name}” works here.")
    if role is not None:
        if role not in ROLES:
            raise Unknown(f"“{role}” is not a role{did_you_mean(role, ROLES)}")
        member.role = role
    if password is not None:
        if len(password) < MIN_PASSWORD_CHARS:
            raise NotAllowed(f"A password has {MIN_PASSWORD_CHARS} characters at least.")
        member.password = HASH.hash(password)
    if active is not None:
        member.active = active
    member.session_key = secrets.token_urlsafe(16)
    audit(session, now, actor, "changed", f"staff:{name}", role=member.role, active=member.active)


def authenticate(session: Session, name: str, password: str) -> Staff | None:
    """Authenticate active staff, or return None; an unknown name takes as long as a wrong password."""
    member = session.get(Staff, name[:100])
    right = HASH.verify(password[:1_000], member.password if member else DUMMY_HASH)
    return member if member and right and member.active else None


def has_role(role: str, needed: str) -> bool:
    return role in ROLES and ROLES.index(role) >= ROLES.index(needed)
