"""Where a visitor came from, in the address: utm_source, utm_medium, utm_campaign."""

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit


def add_utm(url: str, utm: dict[str, str]) -> str:
    """Add UTM parameters; those that the author wrote into the address stay."""
    parts = urlsplit(url)
    given = parse_qsl(parts.query, keep_blank_values=True)
    added = [(name, value) for name, value in utm.items() if name not in dict(given)]
    return urlunsplit(parts._replace(query=urlencode([*given, *added])))
