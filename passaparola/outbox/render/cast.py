"""The people every template is tried on before anyone real gets it: each has something that breaks templates."""

from typing import Any

CAST: dict[str, dict[str, Any]] = {
    "Anna": {"first_name": "Anna", "last_name": "Bianchi", "language": "it", "country": "IT", "city": "Milano"},
    "Ben": {"first_name": "Ben", "last_name": "O'Neil & Sons", "language": "en", "country": "IE", "city": "Cork"},
    "Zoë, who gave her name only": {"first_name": "Zoë", "language": "en"},
    "someone of whom we know nothing": {},
    "a hostile stranger": {
        "first_name": "<script>alert(1)</script>",
        "last_name": "{{ 7*7 }} =?utf-8?q?a=0ABcc:_x@y?=",
        "city": '"><img src=x onerror=alert(1)>',
        "country": "DE",
    },
}

AN_ORDER: dict[str, Any] = {
    "order_id": "BP-1042",
    "at": "2026-03-21T10:04:00+00:00",
    "amount": 2900,
    "currency": "EUR",
    "items": [{"name": "Acacia honey, 500 g", "quantity": 1}, {"name": "Wild-rose soap", "quantity": 2}],
}
