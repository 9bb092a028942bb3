"""A customer's browser: it asks for pages of ours, sends forms, and follows no redirect."""

import urllib.error
import urllib.request
from collections.abc import Mapping

IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/19.1 Mobile/15E148 Safari/604.1"
)


def get(url: str, agent: str = IPHONE) -> None:
    """Ask for a page. Raises urllib.error.HTTPError: it is neither there nor somewhere else."""
    try:
        with urllib.request.build_opener(_NoRedirect).open(_request(url, agent=agent), timeout=10):
            pass
    except urllib.error.HTTPError as answer:
        if answer.code != 302:
            raise


def post(url: str, body: bytes, headers: Mapping[str, str]) -> None:
    with urllib.request.urlopen(_request(url, body, headers), timeout=20):
        pass


def _request(
    url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None, agent: str = IPHONE
) -> urllib.request.Request:
    return urllib.request.Request(url, body, {"User-Agent": agent, **(headers or {})})


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *given: object) -> None:  # what lies behind a link is somebody else's
        return None
