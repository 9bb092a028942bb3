"""People's files, read row by row whatever wrote them: CSV of any common encoding and delimiter, and XLSX."""

import csv
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from charset_normalizer import from_bytes
from python_calamine import CalamineError, CalamineWorkbook

from passaparola.errors import BadContent

DELIMITERS = ",;\t|"
SAMPLE_BYTES = 256 * 1024
CANDIDATE_ENCODINGS = ("cp1252", "mac_roman", "cp1250")
MAX_IMPLAUSIBLE_SHARE = 0.05  # a share of words that two languages in one file may make
WORD = re.compile(r"[^\s,;|\t\"@.]+")
IMPLAUSIBLE = re.compile(
    r"[a-zà-öø-ÿ][À-ÖØ-ÞŽŠŸŒ]|[^\W\d_][^\w\s\x00-\x7f'’`´·–“”„«»…€™®©ªº\u00ad]|[^\x00-\x7f–“”„«»…€’]{3}|\ufffd|[\x80-\x9f]"
)


@dataclass(frozen=True)
class Row:
    """`problem` is set when the row itself cannot be read."""

    line: int
    cells: list[str]
    problem: str = ""


@dataclass(frozen=True)
class Table:
    header: list[str]
    rows: Iterator[Row]
    bytes_read: Any  # a function: how far the reading is, for a progress bar


@contextmanager
def open_table(path: Path) -> Iterator[Table]:
    """Open a table for reading. Raises BadContent: no such file, or nothing that could be a table."""
    if not path.is_file():
        raise BadContent("there is no such file", str(path))
    if path.suffix.lower() in (".xlsx", ".xlsm", ".xls", ".ods"):
        yield _sheet(path)
        return
    with path.open("rb") as probe:
        head = probe.read(SAMPLE_BYTES)
    if not head.strip():
        raise BadContent("the file is empty", str(path))
    encoding = _encoding(head)
    with path.open("r", encoding=encoding, errors="surrogateescape", newline="") as file:
        yield _csv(file, head.decode(encoding, "replace"), path)


def _encoding(head: bytes) -> str:
    """Guess the encoding: UTF-8 where most of what is not ASCII reads as that; a few bad rows do not make it
    another one."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    text = head[: head.rfind(b"\n") + 1 or None].decode("utf-8", "replace")
    broken = text.count("\ufffd")
    if not broken or sum(sign > "\x7f" for sign in text) > 3 * broken:
        return "utf-8-sig"
    odd = {encoding: _implausible_words(head.decode(encoding, "replace")) for encoding in CANDIDATE_ENCODINGS}
    likeliest = min(
        CANDIDATE_ENCODINGS, key=lambda encoding: odd[encoding]
    )  # of equals the first: most of such files are of Windows
    if odd[likeliest] <= MAX_IMPLAUSIBLE_SHARE * len(WORD.findall(head.decode("latin-1"))):
        return likeliest
    best = from_bytes(head).best()
    return best.encoding if best else likeliest


def _implausible_words(text: str) -> int:
    """Count words with a sign in them that no language has there: a symbol between letters, a capital after a small
    letter, three accents in a row."""
    return sum(not word.isascii() and bool(IMPLAUSIBLE.search(word)) for word in WORD.findall(text))


def _csv(file: Any, head: str, path: Path) -> Table:
    try:
        dialect: Any = csv.Sniffer().sniff(head[: head.rfind("\n") + 1 or None][:20_000], DELIMITERS)
        dialect.doublequote, dialect.skipinitialspace = True, True
    except csv.Error:
        dialect = csv.excel
    reader = csv.reader(file, dialect)
    try:
        header = [name.strip() for name in next(reader)]
    except (csv.Error, StopIteration) as error:
        raise BadContent(f"the first line is not a header: {error}", str(path)) from None
    if any("@" in name and "." in name for name in header):
        raise BadContent("the first line holds an address; it must name the columns", str(path))
    return Table(header, _csv_rows(reader), lambda: file.buffer.tell())


def _csv_rows(reader: Any) -> Iterator[Row]:
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Row(line, [], f"this row cannot be read: {error}")
            continue
        if cells:
            yield Row(line, [cell.replace("\x00", "") for cell in cells])


def _sheet(path: Path) -> Table:
    try:
        rows = CalamineWorkbook.from_path(str(path)).get_sheet_by_index(0).iter_rows()
    except (CalamineError, OSError) as error:
        raise BadContent(f"this is not a workbook: {error}", str(path)) from None
    header = [_cell(value).strip() for value in next(rows, [])]
    if not header:
        raise BadContent("the first sheet is empty", str(path))
    body = (Row(number, [_cell(value) for value in row]) for number, row in enumerate(rows, 2))
    return Table(header, (row for row in body if any(row.cells)), lambda: 0)


def _cell(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "" if value is None else str(value).replace("\x00", "")


def neutralise_cell(cell: str) -> str:
    """Neutralise a cell that a spreadsheet would take for a formula.
    https://owasp.org/www-community/attacks/CSV_Injection"""
    return f"'{cell}" if cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell
