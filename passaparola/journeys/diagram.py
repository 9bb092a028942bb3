"""A campaign as a drawing: mermaid's flowchart, read from top to bottom."""

from collections.abc import Mapping
from typing import Any

from passaparola.journeys.status import describe_step


def draw_mermaid(content: Mapping[str, Any]) -> str:
    """Draw a campaign as mermaid from a launch's frozen content."""
    enter, leave, goal = content["enter"], content["leave"], content["goal"]
    begins = f"who does {enter['on']}" if enter.get("on") else f"audience {enter['audience']}"
    if enter.get("every"):
        begins += f", every {enter['every'].removeprefix('every ')}"
    lines = ["flowchart TD", f'  start(["{_escape(begins)}"])']
    before = "start"
    for number, step in enumerate(content["steps"]):
        words = describe_step(step)
        if "say" in step:
            words += f" by {', '.join(step['by'])}"
        if step.get("up to"):
            words += f", up to {step['up to']}"
        shape = ('["', '"]') if "say" in step else ('{{"', '"}}') if "wait for" in step else ('("', '")')
        lines.append(f"  s{number}{shape[0]}{_escape(words)}{shape[1]}")
        label = f'|"{_escape(step["when"])}"|' if step.get("when") else ""
        lines.append(f"  {before} -->{label} s{number}")
        before = f"s{number}"
    lines.append(f"  {before} --> finish([end])")
    if leave:
        lines.append(f'  leave(["leaves: {_escape(leave.get("on") or leave.get("when") or "")}"])')
    if goal:
        lines.append(f'  goal(["goal: {_escape(goal["on"])} within {goal["within"] // 86400} days"])')
    return "\n".join(lines)


def _escape(words: str) -> str:
    return " ".join(words.split()).replace('"', "#quot;")
