"""The local mailbox is its own judge: what lies in it was accepted."""

from passaparola.settings import get_settings


class Fake:
    def __init__(self) -> None:
        self.env: dict[str, str] = {}

    def __enter__(self) -> "Fake":
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def accepted(self) -> int:
        return sum(1 for _ in (get_settings().var / "mailbox").rglob("new/*"))
