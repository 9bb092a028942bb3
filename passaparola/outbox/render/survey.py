"""The question behind `{{ survey_url }}`, written in a letter's front matter; each kind is answered with one tap or
a few words."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

SCALE = {"nps": range(11), "csat": range(1, 6), "stars": range(1, 6)}


class Survey(BaseModel):
    """`nps` asks 0 to 10, `csat` and `stars` 1 to 5, `choice` one of `choices`, `text` for words only."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    kind: Literal["nps", "csat", "stars", "choice", "text"] = "nps"
    question: str = Field("", max_length=200)
    choices: tuple[str, ...] = ()

    @model_validator(mode="after")
    def has_something_to_choose(self) -> "Survey":
        if (self.kind == "choice") != bool(self.choices):
            raise ValueError("a survey of the kind choice, and only that, has “choices”")
        if self.kind != "nps" and not self.question:
            raise ValueError("“question” is missing")
        return self

    def answers(self) -> list[int]:
        """Return what may be tapped: the numbers of a scale, or the places of the choices."""
        return list(SCALE.get(self.kind, range(len(self.choices))))

    def score(self, choice: int) -> float | None:
        """Score an answer on the scale from 0 to 10 that policies and audiences speak of; None where an answer is no
        score."""
        if self.kind == "nps":
            return float(choice)
        return (choice - 1) * 2.5 if self.kind in ("csat", "stars") else None
