"""A question with one answer: looking at it changes nothing, and the first answer counts."""

from datetime import timedelta

from sqlalchemy import func, select
from sqlmodel import col

from passaparola.inbound import surveys
from passaparola.inbound.pipeline import apply_inbound
from passaparola.outbox.links import Links
from passaparola.settings import Settings
from passaparola.store.database import Store, utc_now
from passaparola.store.models import Conversation, Event, Turn
from tests.web.test_links import TestClient, path


def answers(store: Store) -> list[dict[str, object]]:
    with store.read() as session:
        return list(
            session.execute(select(col(Event.properties)).where(col(Event.kind) == "survey_answered")).scalars()
        )


def later(store: Store, settings: Settings) -> None:
    apply_inbound(store, settings, utc_now())
    surveys.settle(store, settings, utc_now() + timedelta(seconds=20))


def test_one_tap_in_the_letter_is_an_answer_once_it_is_sure_that_a_person_tapped(
    web: TestClient, store: Store, settings: Settings, links: Links
) -> None:
    url = path(links.survey("1-0-email"))
    shown = web.get(f"{url}?score=9")
    assert 'value="9" required checked' in shown.text
    assert "Quanto volentieri" in shown.text  # Alice reads Italian
    apply_inbound(store, settings, utc_now())
    surveys.settle(store, settings, utc_now())
    assert answers(store) == []
    later(store, settings)
    later(store, settings)
    assert [(one["score"], one["campaign"]) for one in answers(store)] == [(9, "hello")]


def test_a_scanner_that_taps_every_number_answers_nothing(
    web: TestClient, store: Store, settings: Settings, links: Links
) -> None:
    url = path(links.survey("1-0-email"))
    for score in range(11):
        web.get(f"{url}?score={score}")
    web.get(f"{path(links.survey('2-0-email'))}?score=3", headers={"User-Agent": "Barracuda Sentinel"})
    later(store, settings)
    assert answers(store) == []


def test_an_answer_is_kept_once_and_may_be_corrected_and_explained(web: TestClient, store: Store, links: Links) -> None:
    url = path(links.survey("1-0-email"))
    assert "Grazie" in web.post(url, data={"score": "9"}).text
    web.post(url, data={"score": "9", "comment": " the honey \x00"})
    web.post(url, data={"score": "9", "comment": "the honey"})
    (answer,) = answers(store)
    assert (answer["score"], answer["comment"], answer["campaign"]) == (9, "the honey", "hello")


def test_a_score_that_is_corrected_downwards_is_heard(web: TestClient, store: Store, links: Links) -> None:
    url = path(links.survey("1-0-email"))
    web.post(url, data={"score": "9"})
    web.post(url, data={"score": "2"})
    assert [one["score"] for one in answers(store)] == [2]
    with store.read() as session:
        assert session.execute(select(col(Conversation.kind))).scalar_one() == "low_score"


def test_a_low_score_opens_a_conversation_and_a_high_one_does_not(web: TestClient, store: Store, links: Links) -> None:
    web.post(path(links.survey("1-0-email")), data={"score": "3", "comment": "Il vasetto era aperto"})
    web.post(path(links.survey("2-0-email")), data={"score": "10"})
    with store.read() as session:
        (one,) = session.execute(select(Conversation)).scalars()
        assert (one.contact_id, one.state, one.about) == (1, "open", "1-0-email")
        assert one.kind in ("low_score", "complaint")
        assert session.execute(select(col(Turn.text))).scalar() == "3/10 Il vasetto era aperto"


def test_nonsense_and_strange_tokens_answer_nothing(web: TestClient, store: Store, links: Links) -> None:
    url = path(links.survey("1-0-email"))
    assert web.post(url, data={"score": "11"}).status_code == 422
    assert web.post(url, data={}).status_code == 422
    assert web.get(f"{url}?score=99").status_code == 200
    assert web.post(path(links.unsubscribe("1-0-email")).replace("/u/", "/s/"), data={"score": "9"}).status_code == 404
    with store.read() as session:
        assert session.execute(select(func.count()).select_from(Event)).scalar_one() == 0
