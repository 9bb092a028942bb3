"""Pictures for docs/campaigns.md: each shipped campaign's letters side by side, as a phone shows them, and its drawing.

python -m docs.previews      wants Chromium and playwright
"""

import asyncio
from pathlib import Path

from passaparola.journeys import campaign
from passaparola.journeys.diagram import draw_mermaid
from passaparola.journeys.freeze import freeze_content
from passaparola.outbox.render.cast import CAST
from passaparola.outbox.render.check import sample_values
from passaparola.outbox.render.frozen import FrozenWording, cut_wording, freezer, launch_constants
from passaparola.reports.pictures import BROWSER_FLAGS, screenshot_pages
from passaparola.settings import Settings

DOCS = Path(__file__).parent
HOUSE = Settings(home=DOCS.parent, secret_key="x")
SHOWN = ("welcome", "post_purchase", "win_back", "newsletter", "one_question")


async def main() -> None:
    lines = ["# The campaigns of the house", ""]
    for name in SHOWN:
        frozen = freeze_content(HOUSE, name, freezer(HOUSE))
        lines += [
            f"## {frozen['title']}",
            "",
            f"`campaigns/{name}.yaml`",
            "",
            "```mermaid",
            draw_mermaid(frozen),
            "```",
            "",
        ]
        for locale, language in (("en", "English"), ("it", "Italian")):
            suffix = "" if locale == "en" else f"_{locale}"
            picture = DOCS / "images" / f"campaign_{name}{suffix}.png"
            subjects = await drawn(frozen, locale, picture)
            lines += [
                f"![{campaign.read_campaign(HOUSE.home, name).title} in {language}: {'; '.join(subjects)}](images/{picture.name})",
                "",
            ]
    (DOCS / "campaigns.md").write_text("\n".join(lines), encoding="utf-8")


async def drawn(frozen: dict[str, object], locale: str, path: Path) -> list[str]:
    """All letters of a campaign in one row. Returns their subjects."""
    pages, subjects = [], []
    for key, wordings in frozen["messages"].items():  # type: ignore[attr-defined]
        if not key.endswith("/email"):
            continue
        wording = FrozenWording.model_validate(wordings[locale])
        cut = cut_wording(wording, locale, launch_constants(frozen))
        who = CAST["Anna" if locale == "it" else "Ben"]
        values = cut.values({**launch_constants(frozen), **sample_values(who, wording, "order_completed")})
        filled = {part: text.fill(values) for part, text in cut.skeleton.parts.items()}
        pages.append(filled["html"])
        subjects.append(filled["subject"])
    pictures = await screenshot_pages(pages, width=390)
    columns = "".join(
        f'<figure><figcaption>{subject}</figcaption><img src="{picture}"></figure>'
        for subject, picture in zip(subjects, pictures, strict=True)
    )
    sheet = (
        "<style>body{margin:0;background:#d8d0c2;font:22px Georgia;display:flex;gap:28px;padding:28px;align-items:flex-start}"
        "figure{margin:0;width:390px}figcaption{height:62px;color:#2c2925}img{width:390px;border-radius:14px;display:block}</style>"
    )
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=BROWSER_FLAGS)
        page = await browser.new_page(viewport={"width": 28 + 418 * len(pages), "height": 400})
        await page.set_content(sheet + columns)
        await page.screenshot(path=path, full_page=True, scale="css")
        await browser.close()
    return subjects


if __name__ == "__main__":
    asyncio.run(main())
