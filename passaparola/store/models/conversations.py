"""What people say to us and what we answer: a thread for each contact and medium, with its response clock."""

from datetime import datetime

from sqlalchemy import BigInteger, Index, text
from sqlmodel import Field, SQLModel

from passaparola.store.models.base import foreign_key, instant, primary_key


class Conversation(SQLModel, table=True):
    """A thread with one contact. While a complaint, a request or a low score is not closed, nothing is sold to them."""

    id: int | None = primary_key()
    contact_id: int = foreign_key("contact.id")
    medium: str
    source: str = Field(description="the receiver it came by: mail, twitter, survey")
    thread: str = Field(default="", description="how the medium calls the thread, to answer in it")
    subject: str = ""
    about: str = Field(default="", description="the message of ours that it answers, if any")
    state: str = Field(default="open", description="open (they wait), answered (we wait) or closed")
    kind: str = Field(description="complaint, request, low_score, question, praise or remark")
    topic: str = Field(default="", description="one of policies/care.yaml")
    language: str = ""
    sentiment: float = 0.0
    priority: int = 0
    team: str = ""
    assignee: str = ""
    opened_at: datetime = instant()
    last_inbound_at: datetime = instant(description="when they last spoke")
    due_at: datetime | None = instant(default=None, description="until when they should have an answer")
    answered_at: datetime | None = instant(default=None)
    escalated_at: datetime | None = instant(default=None)
    closed_at: datetime | None = instant(default=None)

    __table_args__ = (
        Index("conversation_of_contact", "contact_id", "state"),
        Index("conversation_thread", "medium", "thread"),
        Index(
            "conversation_open",
            "state",
            "due_at",
            postgresql_where=text("state <> 'closed'"),
            sqlite_where=text("state <> 'closed'"),
        ),
    )


class Turn(SQLModel, table=True):
    """One thing said in a conversation, by them or by us."""

    id: int | None = primary_key()
    conversation_id: int = foreign_key("conversation.id", index=True)
    at: datetime = instant()
    author: str = Field(default="", description="who of us; empty: they")
    text: str
    name: str = Field(default="", index=True, description="how the medium calls it: a Message-ID, a post's id")
    event_id: int | None = Field(default=None, sa_type=BigInteger, unique=True)
    enrolment_id: int | None = Field(default=None, sa_type=BigInteger, description="the message that carries it")
    automatic: bool = Field(default=False, description="an out-of-office or another machine said it")
