"""What an operator decides once, read from `PASSAPAROLA_*` variables or the project's `.env`. Channels declare their
own.

A project is a folder that holds `campaigns/`; `passaparola init` makes one. Its `.env` is read by every process
of it, from whichever folder that is started.
"""

import os
import secrets
from datetime import time
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from passaparola.errors import Misconfigured

STARTER = Path(__file__).parent / "starter"


def find_home() -> Path:
    """Find the project that this process works for. Raises Misconfigured.

    `PASSAPAROLA_HOME` where it is set, else the nearest folder upwards that holds `campaigns/`.
    """
    given = os.environ.get("PASSAPAROLA_HOME")
    if given:
        home = Path(given).expanduser().resolve()
        if not (home / "campaigns").is_dir():
            raise Misconfigured(
                f"PASSAPAROLA_HOME is {home}, and there is no campaigns/ in it. `passaparola init {given}` makes a "
                "project there."
            )
        return home
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "campaigns").is_dir():
            return folder
    raise Misconfigured(
        f"There is no project in {here}: neither it nor a folder above it holds campaigns/. "
        "`passaparola init my-shop` makes one; PASSAPAROLA_HOME may name it."
    )


class FromEnvironment(BaseSettings):
    """The base of every settings class: one prefix, the project's `.env`, blank means unset."""

    model_config = SettingsConfigDict(env_prefix="PASSAPAROLA_", env_ignore_empty=True, extra="ignore", frozen=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        given = init_settings.init_kwargs.get("home") if isinstance(init_settings, InitSettingsSource) else None
        return (
            init_settings,
            env_settings,
            DotEnvSettingsSource(settings_cls, env_file=Path(given or find_home()) / ".env"),
        )


class Settings(FromEnvironment):
    home: Path = Field(
        default_factory=find_home, description="The project: holds campaigns/, audiences/ and templates/."
    )
    var: Path = Field(
        default_factory=lambda given: given["home"] / "var",
        description="What the machine writes: database, mailbox, imports. Default: var/ in the home.",
    )
    database_url: str = Field("", description="Default: a SQLite file under var/.")
    email_channel: Literal["mailbox", "sendgrid", "smtp"] = "mailbox"
    social_channel: Literal["mailbox", "live"] = "mailbox"

    public_url: str = Field("http://127.0.0.1:8000", description="Where the links in messages lead.")
    secret_key: str = Field("", description="Signs links and keys suppressions. Default: made once under var/.")

    prefect_ui_url: str = Field("", description="Where Prefect's own pages are, so that the console can point there.")

    organisation: str = "Bottega Passaparola"
    postal_address: str = "Bottega Passaparola, Via dei Tigli 12, 20121 Milano, Italy"
    sender_name: str = "Bottega Passaparola"
    sender_email: str = "ciao@bottega.example"
    reply_to: str = ""
    locale: str = Field("en", description="The language of a contact who has none.")
    time_zone: str = Field("Europe/Rome", description="The clock of a contact who has none.")
    currency: str = Field("EUR", min_length=3, max_length=3, description="The currency in which spending is summed.")

    soft_opt_in: str = Field(
        "",
        pattern=r"^([a-z][a-z0-9_]*(, ?[a-z][a-z0-9_]*)*)?$",
        description="`after_sales`: topics on which buyers may be written to, if your checkout tells them and lets "
        "them refuse.",
    )

    cost_per_message: str = Field(
        "",
        pattern=r"^([a-z]+ \d+(\.\d+)?(, ?[a-z]+ \d+(\.\d+)?)*)?$",
        description="`email 0.0009, twitter 0.2`: what one message costs you, in your currency; for reports.",
    )
    alert_urls: str = Field(
        "", description="`ntfy://topic mailto://…`: who is told when a channel stops, as Apprise writes it."
    )
    send_concurrency: int = Field(5, ge=1, le=50, description="how many requests a worker has on their way at once")
    log_format: Literal["text", "json"] = Field("text", description="how processes that run for long write their log")
    metrics_token: str = Field("", description="with this bearer token Prometheus may read /metrics; none: nobody may")
    raw_body_retention_days: int = Field(30, ge=1, description="days for which webhooks' bodies are kept as they came")
    feedback_retention_days: int = Field(730, ge=30, description="days for which deliveries, opens and clicks are kept")

    frequency_cap: str = Field(
        "", pattern=r"^(\d+ per \d+ days)?$", description="`3 per 7 days`: the most marketing a contact gets."
    )
    quiet_hours: str = Field(
        "",
        pattern=r"^(\d\d:\d\d-\d\d:\d\d)?$",
        description="`21:00-08:30` on the contact's own clock: nothing is sent.",
    )

    @field_validator("quiet_hours")
    @classmethod
    def two_times(cls, hours: str) -> str:
        if hours:
            start, end = (time.fromisoformat(edge) for edge in hours.split("-"))
            if start == end:
                raise ValueError("quiet hours that begin and end at the same time never end")
        return hours

    @field_validator("public_url")
    @classmethod
    def without_trailing_slash(cls, url: str) -> str:
        return url.rstrip("/")

    @property
    def soft_opt_in_topics(self) -> list[str]:
        return [topic.strip() for topic in self.soft_opt_in.split(",") if topic.strip()]

    @property
    def message_costs(self) -> dict[str, float]:
        pairs = (pair.split() for pair in self.cost_per_message.split(",") if pair.strip())
        return {medium: float(price) for medium, price in pairs}

    @property
    def database(self) -> str:
        return self.database_url or f"sqlite:///{self.var / 'passaparola.db'}"

    @property
    def secret(self) -> str:
        """Return the secret key; made once, readable by its owner only, when none is set."""
        return self.secret_key or load_or_create_secret(self.var / "secret_key")


@cache
def load_or_create_secret(path: Path) -> str:
    """Load a secret of this project's own: made once, readable by its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(48))
    except FileExistsError:
        pass
    return path.read_text().strip()


@cache
def get_settings() -> Settings:
    return Settings()
