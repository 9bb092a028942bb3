"""The frozen words of launches, kept in memory: a click finds where it leads without asking the store."""

from collections import OrderedDict
from collections.abc import Mapping
from functools import cache
from typing import Any

from sqlalchemy import select
from sqlmodel import col
from starlette.concurrency import run_in_threadpool

from passaparola.outbox.links import LinkRef
from passaparola.outbox.render.frozen import wording_key
from passaparola.store.database import Store
from passaparola.store.models import Launch
from passaparola.web import link_context

MAX_LAUNCHES = 200
KEPT_FIELDS = ("links", "share")

Wordings = Mapping[tuple[int, str, str, str], Mapping[str, Any]]  # by step, medium, variant and locale


class FrozenWordings:
    """The links of the launches last asked for. What a launch froze never changes."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.launches: OrderedDict[int, tuple[str, Wordings]] = OrderedDict()

    async def find(self, ref: LinkRef) -> tuple[str, Mapping[str, Any]] | None:
        """Return the campaign and the frozen wording that a reference names; None: there is none."""
        known = self.launches.get(ref.launch) or await run_in_threadpool(self._load, ref.launch)
        if known is None:
            return None
        campaign, wordings = known
        wording = wordings.get((ref.message.step, ref.message.medium, ref.variant, ref.locale))
        return (campaign, wording) if wording is not None else None

    def _load(self, launch: int) -> tuple[str, Wordings] | None:
        with self.store.read() as session:
            content = session.execute(select(col(Launch.content)).where(col(Launch.id) == launch)).scalar()
        if content is None:
            return None
        loaded = content["campaign"], _wordings(content)
        self.launches[launch] = loaded
        while len(self.launches) > MAX_LAUNCHES:
            self.launches.popitem(last=False)
        return loaded


def _wordings(content: Mapping[str, Any]) -> Wordings:
    """Return the links of each wording of a launch."""
    wordings: dict[tuple[int, str, str, str], Mapping[str, Any]] = {}
    for number, step in enumerate(content["steps"]):
        for medium in step.get("by", ()):
            for variant in ("", *step.get("variants", ())):
                locales = content["messages"].get(wording_key(step["say"], variant, medium), {})
                for locale, wording in locales.items():
                    wordings[number, medium, variant, locale] = {name: wording.get(name) for name in KEPT_FIELDS}
    return wordings


async def find_wording(ref: LinkRef) -> tuple[str, Mapping[str, Any]] | None:
    """Return the campaign and the frozen wording of a followed link; None: there is no such link."""
    return await _of(link_context.store()).find(ref)


@cache
def _of(store: Store) -> FrozenWordings:
    return FrozenWordings(store)
