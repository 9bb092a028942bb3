"""How long a post is, as X counts it: twitter-text v3. https://docs.x.com/fundamentals/counting-characters"""

import unicodedata
from functools import cache

import regex

MAX_WEIGHT, URL_LENGTH = 280, 23
LIGHT = ((0, 4351), (8192, 8205), (8208, 8223), (8242, 8247))
URL = regex.compile(
    r"https?://[^\s<>\"]+[^\s<>\".,;:!?')\]}]|(?<![@\w.-])(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+"
    r"(?:com|org|net|it|eu|io|dev|app|shop|info|biz|co|me|ai|uk|de|fr|es|ch|at|edu|gov)(?![\w.-]*@)\b(?:/[^\s<>\"]*[^\s<>\".,;:!?')\]}])?",
    regex.IGNORECASE,
)
EMOJI = regex.compile(r"(?=\p{Extended_Pictographic}|\p{Regional_Indicator}|[0-9#*]\uFE0F?\u20E3)\X")


def weighted_length(text: str) -> int:
    text = unicodedata.normalize("NFC", text)
    urls = len(URL.findall(text))
    return urls * URL_LENGTH + _weight(URL.sub("", text))


def _weight(text: str) -> int:
    emoji = [match for match in EMOJI.findall(text) if not _is_plain_sign(match)]
    rest = EMOJI.sub(lambda match: match[0] if _is_plain_sign(match[0]) else "", text)
    return 2 * len(emoji) + sum(_sign_weight(sign) for sign in rest)


def _is_plain_sign(sign: str) -> bool:
    """Return whether a sign counts as a letter: © and ® are pictographs to Unicode and letters to X, unless an
    emoji selector follows."""
    return ord(sign[0]) < 0x2000 and "\ufe0f" not in sign and "\u20e3" not in sign


@cache
def _sign_weight(sign: str) -> int:
    return 1 if any(low <= ord(sign) <= high for low, high in LIGHT) else 2


def thread(text: str) -> list[str]:
    """Split a text into the posts of a thread: one where it fits; else whole paragraphs, then sentences, then words."""
    parts: list[str] = []
    for paragraph in regex.split(r"\n{2,}", text.strip()):
        _append(parts, paragraph.strip(), "\n\n")
    return parts


def _append(parts: list[str], piece: str, joint: str) -> None:
    if parts and weighted_length(parts[-1] + joint + piece) <= MAX_WEIGHT:
        parts[-1] += joint + piece
        return
    if weighted_length(piece) <= MAX_WEIGHT:
        parts.append(piece)
        return
    smaller = regex.split(r"(?<=[.!?…])\s+", piece)
    if len(smaller) == 1:
        smaller = piece.split()
    if len(smaller) == 1:
        smaller = [piece[:140], piece[140:]]
    for number, smaller_piece in enumerate(smaller):
        _append(parts, smaller_piece, " " if number else joint)
