"""A question with one answer: looking at it changes nothing, and the first answer counts."""

from sqlalchemy import func, select
from sqlmodel import col

from contacts.models import Event
from contacts.store import Store
from outbox.links import Links
from tests.web.test_links import TestClient, links, path, web

__all__ = ["links", "web"]


def answers(store: Store) -> list[dict[str, object]]:
    with store.read() as session:
        return list(
            session.execute(select(col(Event.properties)).where(col(Event.kind) == "survey_answered")).scalars()
        )


def test_a_tap_in_the_letter_fills_in_and_only_sending_answers(web: TestClient, store: Store, links: Links) -> None:
    url = path(links.survey("1-0-email"))
    for _ in range(5):
        shown = web.get(f"{url}?score=9")
    assert 'value="9" required checked' in shown.text
    assert "Quanto volentieri" in shown.text  # Alice reads Italian
    assert answers(store) == []
    assert "Grazie" in web.post(url, data={"score": "9", "comment": " the honey \x00"}).text
    web.post(url, data={"score": "0"})
    (answer,) = answers(store)
    assert (answer["score"], answer["comment"], answer["campaign"]) == (9, "the honey", "hello")


def test_nonsense_and_strange_tokens_answer_nothing(web: TestClient, store: Store, links: Links) -> None:
    url = path(links.survey("1-0-email"))
    assert web.post(url, data={"score": "11"}).status_code == 422
    assert web.post(url, data={}).status_code == 422
    assert web.get(f"{url}?score=99").status_code == 200
    assert web.post(path(links.unsubscribe("1-0-email")).replace("/u/", "/s/"), data={"score": "9"}).status_code == 404
    with store.read() as session:
        assert session.execute(select(func.count()).select_from(Event)).scalar_one() == 0
