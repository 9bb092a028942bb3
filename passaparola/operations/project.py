"""Make a project: a folder of the shape that Passaparola works in, with starter content and an example of each
extension."""

import shutil
from pathlib import Path

from passaparola.errors import NotAllowed
from passaparola.settings import STARTER

CONTENT = ("audiences", "campaigns", "templates", "policies")
LANGUAGES = ("en", "it")
HELLO_DEPLOYMENT = """  - name: hello
    entrypoint: flows/hello.py:hello
    tags: [button]
    work_pool: *pool
"""


def create_project(folder: Path, language: str = "en") -> None:
    """Make a project in a folder that is not there yet, or empty. Raises NotAllowed."""
    if language not in LANGUAGES:
        raise NotAllowed(f"There is starter content in {' and '.join(LANGUAGES)}, and not in “{language}”.")
    if folder.exists() and any(folder.iterdir()):
        raise NotAllowed(f"{folder} is not empty; name a folder that is not there yet.")
    folder.mkdir(parents=True, exist_ok=True)
    for room in CONTENT:
        shutil.copytree(STARTER / room, folder / room)
    _speak(folder / "templates", language)
    example = STARTER / "example"
    for room in ("channels", "flows"):
        shutil.copytree(example / room, folder / room, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "prefect.yaml").write_text((STARTER / "prefect.yaml").read_text() + HELLO_DEPLOYMENT)
    (folder / ".env").write_text((example / "env").read_text().replace("{language}", language))
    (folder / "README.md").write_text((example / "README.md").read_text().replace("{name}", folder.resolve().name))
    (folder / ".gitignore").write_text("var/\n.env\n__pycache__/\n*.rejects.csv\n")


def _speak(templates: Path, language: str) -> None:
    """Make a language the house's: its files lose their suffix, `email.it.mjml` becomes `email.mjml`, and the
    others get theirs."""
    if language == "en":
        return
    for path in sorted(templates.rglob(f"*.{language}.*")):
        plain = path.with_name(path.name.replace(f".{language}.", "."))
        if plain.exists():
            plain.rename(plain.with_name(plain.name.replace(plain.suffix, f".en{plain.suffix}")))
        path.rename(plain)
