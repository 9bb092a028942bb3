"""Pictures for artifacts: a letter as a phone shows it, and a funnel. Where no browser is installed, links stand
alone."""

import base64
import shutil
from html import escape

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


async def screenshot_pages(pages: list[str], width: int = 420) -> list[str]:
    """Return a data: URI per page, or nothing at all where there is no browser."""
    path = next((executable for name in BROWSERS if (executable := shutil.which(name))), None)
    try:
        from playwright.async_api import async_playwright
    except ImportError:
        return []
    if not path:
        return []
    taken: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=BROWSER_FLAGS)
        try:
            for page in pages:
                sheet = await browser.new_page(viewport={"width": width, "height": 700}, java_script_enabled=False)
                await sheet.route("**/*", lambda route: route.abort())  # a picture of ours asks nobody for anything
                await sheet.set_content(page)
                taken.append(_data_uri("jpeg", await sheet.screenshot(full_page=True, type="jpeg", quality=55)))
                await sheet.close()
        finally:
            await browser.close()
    return taken


def funnel_chart(steps: list[tuple[str, int]]) -> str:
    """Return bars of falling length as an SVG data: URI."""
    most = max((count for _, count in steps), default=0) or 1
    rows = []
    for place, (name, count) in enumerate(steps):
        length, y = max(2, round(430 * count / most)), 14 + 44 * place
        rows.append(
            f'<rect x="130" y="{y}" width="{length}" height="30" rx="5" fill="{COLOURS[place % len(COLOURS)]}"/>'
            f'<text x="120" y="{y + 20}" text-anchor="end">{escape(name)}</text>'
            f'<text x="{140 + length}" y="{y + 20}" font-weight="bold">{count:,}</text>'
        )
    return chart_svg("".join(rows), 680, 20 + 44 * len(steps))


def chart_svg(drawn: str, width: int, height: int) -> str:
    """Draw a chart on the house's paper, as a data: URI."""
    whole = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" '
        'font-size="15" '
        f'fill="#3d3a36"><rect width="{width}" height="{height}" rx="10" fill="#faf7f0"/>{drawn}</svg>'
    )
    return _data_uri("svg+xml", whole.encode())


COLOURS = ("#2f5d3a", "#5c8f5f", "#c9a23f", "#b5563c", "#7d7467")


def _data_uri(kind: str, body: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(body).decode()}"
