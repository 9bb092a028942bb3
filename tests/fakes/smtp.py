"""An SMTP server on aiosmtpd: refuses by address, hangs up on request, and keeps what it accepted."""

import socket
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP


class Fake:
    def __init__(self) -> None:
        self.letters: list[tuple[list[str], bytes]] = []
        self.hang_up_after_data = False
        self.takes_sender = True

    def __enter__(self) -> "Fake":
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.controller = Controller(self, hostname="127.0.0.1", port=self.port)
        self.controller.start()
        self.env = {"SMTP_URL": f"smtp://127.0.0.1:{self.port}"}
        self.wrong, self.down = {"SMTP_URL": "smtp://user:{canary}@127.0.0.1:9"}, {"SMTP_URL": "smtp://127.0.0.1:9"}
        return self

    def accepted(self) -> int:
        return len(self.letters)

    def lose(self) -> None:
        self.hang_up_after_data = True

    def __exit__(self, *error: object) -> None:
        self.controller.stop()

    async def handle_MAIL(self, server: SMTP, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        if not self.takes_sender:
            return "530 5.7.0 authentication required"
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server: SMTP, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        if address.startswith("nobody"):
            return "550 5.1.1 no such user"
        if address.startswith("later"):
            return "450 4.2.1 mailbox busy"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Any) -> str:
        self.letters.append((list(envelope.rcpt_tos), envelope.content))
        if self.hang_up_after_data:
            server.transport.abort()
        return "250 OK"
