"""What policies/ says, checked as a whole: who answers what, and what people may choose."""

from pathlib import Path

from passaparola.contacts import topics
from passaparola.conversations import care
from passaparola.errors import BadContent


def check_policies(home: Path) -> list[str]:
    """Check policies/. Return the problems, each with its file."""
    problems = []
    for load in (care.load_policy, topics.load_topics):
        try:
            load(home)
        except BadContent as error:
            problems.append(str(error))
    known = {path.name for path in (home / "policies").glob("*")} if (home / "policies").is_dir() else set()
    problems += [
        f"policies/{name}: nothing reads this; there are care.yaml and topics.yaml"
        for name in sorted(known - {"care.yaml", "topics.yaml"})
    ]
    return problems
