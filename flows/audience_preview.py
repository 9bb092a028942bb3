"""Button: see how many people an audience holds."""

from prefect import flow, get_run_logger
from prefect.artifacts import acreate_markdown_artifact
from pydantic import BaseModel, Field

from passaparola.contacts import audience
from passaparola.contacts.audience import Question
from passaparola.flows._choices import AudienceName
from passaparola.flows._run import house_now, open_store


class Audience(BaseModel):
    """An audience by name, or a question that you are still thinking about."""

    name: AudienceName = Field(title="Audience", description="One of the files in audiences/.")
    question: str = Field(
        "", title="Or ask anything", description='Such as: country = "IT" and ordered within 90 days.', max_length=4000
    )


@flow(name="audience-preview")
async def audience_preview(who: Audience) -> None:
    """Count how many people an audience holds right now.

    Args:
        who: A named audience, or a question of your own, which then counts instead.
    """
    settings, store = open_store()
    query = who.question.strip() or who.name.value
    with store.read() as session:
        question = Question.parse(query, audience.load_catalogue(session, settings))
        count = audience.count_members(session, question, house_now(settings))
        parts = [
            (part.text, audience.count_members(session, Question("", part, question.catalogue), house_now(settings)))
            for part in question.node.parts
            if part.text
        ]
    rows = "\n".join(f"| `{text}` | {number:,} |" for text, number in [(question.node.text, count), *parts])
    await acreate_markdown_artifact(
        f"## {count:,} people\n\n| question | people |\n|---|---:|\n{rows}\n", key="audience-preview"
    )
    get_run_logger().info("%s people", count)
