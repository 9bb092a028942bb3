"""A small shop to look at: five thousand people in Italy and abroad, a year of purchases; the same ones every time.

It can also speak as a shop does: a webhook, signed.
"""

import csv
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

NAMES = {
    "it": (
        [
            "Giulia",
            "Marco",
            "Chiara",
            "Luca",
            "Francesca",
            "Matteo",
            "Sara",
            "Davide",
            "Elena",
            "Andrea",
            "Martina",
            "Paolo",
            "Alessia",
            "Simone",
            "Anna",
            "Stefano",
            "Laura",
            "Giorgio",
            "Valentina",
            "Pietro",
        ],
        [
            "Rossi",
            "Bianchi",
            "Ferrari",
            "Russo",
            "Romano",
            "Gallo",
            "Costa",
            "Fontana",
            "Conti",
            "Esposito",
            "Ricci",
            "Bruno",
            "De_Luca",
            "Moretti",
            "Barbieri",
            "Lombardi",
            "Giordano",
            "Rinaldi",
            "Colombo",
            "Mancini",
        ],
    ),
    "en": (
        [
            "Emma",
            "James",
            "Olivia",
            "Liam",
            "Sophie",
            "Noah",
            "Hannah",
            "Oscar",
            "Maya",
            "Ethan",
            "Clara",
            "Hugo",
            "Ella",
            "Finn",
            "Nora",
            "Leo",
            "Ruby",
            "Theo",
            "Iris",
            "Max",
        ],
        [
            "Smith",
            "Murphy",
            "Walsh",
            "Taylor",
            "Byrne",
            "Evans",
            "Martin",
            "Dubois",
            "Schmidt",
            "Weber",
            "Jansen",
            "Novak",
            "O'Brien",
            "Keller",
            "Moreau",
            "Lindqvist",
            "Hansen",
            "Meyer",
            "Kelly",
            "Ward",
        ],
    ),
}
PLACES = {
    "IT": (
        "it",
        ["Milano", "Torino", "Bologna", "Firenze", "Roma", "Napoli", "Verona", "Genova", "Bari", "Trento"],
        62,
    ),
    "DE": ("en", ["Berlin", "Hamburg", "München"], 10),
    "FR": ("en", ["Paris", "Lyon", "Nantes"], 9),
    "IE": ("en", ["Dublin", "Cork", "Galway"], 7),
    "CH": ("it", ["Lugano", "Bellinzona", "Locarno"], 6),
    "GB": ("en", ["London", "Leeds", "Bristol"], 6),
}
ZONES = {
    "GB": "Europe/London",
    "IE": "Europe/Dublin",
    "DE": "Europe/Berlin",
    "FR": "Europe/Paris",
    "CH": "Europe/Zurich",
    "IT": "Europe/Rome",
}
THINGS = [
    ("Acacia honey", 1250),
    ("Chestnut honey", 1190),
    ("Extra-virgin oil", 1400),
    ("Wild-rose soap", 650),
    ("Quince jam", 720),
    ("Dried porcini", 1680),
    ("Linen towel", 2400),
    ("Beeswax candle", 980),
]


PEOPLE_COLUMNS = [
    "email",
    "first_name",
    "last_name",
    "country",
    "city",
    "language",
    "time_zone",
    "birthday",
    "consent",
    "consent_at",
    "consent_source",
    "favourite",
]
ORDER_COLUMNS = ["email", "order_id", "order_at", "order_amount", "order_currency", "order_items"]


def now() -> datetime:
    return datetime.now(UTC)


def write_files(folder: Path, size: int, now: datetime) -> tuple[Path, Path]:
    """Write people.csv and purchases.csv, as a shop would export them. Return their paths."""
    dice = random.Random(20260321)
    people, purchases = folder / "people.csv", folder / "purchases.csv"
    with (
        people.open("w", newline="", encoding="utf-8") as of_people,
        purchases.open("w", newline="", encoding="utf-8") as of_purchases,
    ):
        rows, orders = csv.writer(of_people), csv.writer(of_purchases)
        rows.writerow(PEOPLE_COLUMNS)
        orders.writerow(ORDER_COLUMNS)
        for number in range(size):
            email, row = _person(dice, number, now)
            rows.writerow(row)
            for at, bought in _basket(dice, now):
                amount = sum(price for _, price in bought) / 100
                orders.writerow(
                    [
                        email,
                        f"BP-{number:05}-{at:%y%m%d}",
                        at.isoformat(),
                        f"{amount:.2f}",
                        "EUR",
                        "; ".join(name for name, _ in bought),
                    ]
                )
    return people, purchases


def _person(dice: random.Random, number: int, now: datetime) -> tuple[str, list[str]]:
    country = dice.choices(list(PLACES), [share for _, _, share in PLACES.values()])[0]
    language, cities, _ = PLACES[country]
    first, last = (dice.choice(names).replace("_", " ") for names in NAMES[language])
    email = (
        f"{first}.{last}.{number}@{dice.choice(['example.com', 'example.org', 'example.net'])}".lower()
        .replace(" ", "")
        .replace("'", "")
    )
    topics = dice.choices(["newsletter;tracking", "newsletter", "", "after_sales"], [38, 34, 20, 8])[0]
    text = (now - timedelta(days=dice.randint(20, 900))).isoformat() if topics else ""
    known = first if dice.random() < 0.93 else ""
    birthday = f"{dice.randint(1, 12):02}-{dice.randint(1, 28):02}"
    return email, [
        email,
        known,
        last if known else "",
        country,
        dice.choice(cities),
        language,
        ZONES[country],
        birthday,
        topics,
        text,
        "sign-up form of the shop" if topics else "",
        dice.choice(THINGS)[0],
    ]


def _basket(dice: random.Random, now: datetime) -> list[tuple[datetime, list[tuple[str, int]]]]:
    count = dice.choices([0, 1, 2, 3, 5, 8], [34, 28, 18, 11, 6, 3])[0]
    days = sorted(dice.sample(range(1, 365), count), reverse=True)
    return [
        (
            (now - timedelta(days=day)).replace(
                hour=dice.randint(8, 22), minute=dice.randint(0, 59), second=0, microsecond=0
            ),
            dice.sample(THINGS, dice.choices([1, 2, 3, 4], [45, 32, 16, 7])[0]),
        )
        for day in days
    ]
