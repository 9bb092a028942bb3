"""Opt-outs in other tools' exports: whether a row says that this person does not want to be written to.

Every tool has its own column for it (Mailchimp, Klaviyo, Shopify, HubSpot, an Italian shop's own list), so it is
recognised by its words: a value that is a no in any column, a yes-column that says no, a no-column that says anything.
"""

import re

from passaparola.contacts.audience.words import TRAITS
from passaparola.contacts.imports.columns import normalise_header

NOT_BY_EMAIL = re.compile(
    r"\b(sms|phone|telefono|cellulare|mobile|whatsapp|push|post|posta|call|chiamat\w*|fax|telegram)\b"
)
BY_EMAIL = re.compile(r"\b(e ?mail|mail|posta elettronica)\b")
SAYS_NO = re.compile(
    r"(un|never |not |non )subscribed|(not|never) opted in|denied|subscription "
    r"(ended|cancelled)|(un|dis)subscribe|opted out|opt out|optout|declined|refused|revoked|withdrawn|"
    r"cleaned|suppressed|complained|complaint|spam|do not (contact|email|mail)|no consent|non marketing( "
    r"contact)?|blacklisted|blocklisted|blocked|bounced|"
    r"(hard|soft) bounced?|disiscritt[oaie]|non "
    r"iscritt[oaie]|cancellat[oaie]|revocat[oaie]|negat[oaie]|rifiutat[oaie]|non acconsent\w*|"
    r"nessun consenso|da non contattare|abgemeldet|desinscrit|dado de baja"
)
ASKS_FOR_A_YES = re.compile(
    r"\b(accepts?|acconsent\w*|accetta\w*|consents?|consenso|consensi|subscribed|subscriber|opt in|opted "
    r"in|optin|newsletter|marketing|permission|iscritt[oa]|"
    r"iscrizione|mailing|can (email|contact|be contacted)|contactable|privacy)\b"
)
ASKS_FOR_A_NO = re.compile(
    r"\b(unsub\w*|unsubscribed?|opt(ed)? out|optout|suppress\w*|do not|dont|disiscri\w*|disdett\w*|revoc\w*|non "
    r"contattare|blacklist\w*|blocklist\w*|"
    r"bounced|cancellazione)\b"
)
ABOUT_IT = re.compile(r"\b(date|time|timestamp|data|ora|ip|source|fonte|url|method|id|title|campaign|reason|motivo)\b")
NO = {"no", "n", "false", "0", "off", "non", "f", "nein", "never", "mai", "none"}
EMPTY = {"", "none", "null", "na", "n a", "no value", "nan", "never", "mai"}


def is_opt_out_cell(header: str, role: str, cell: str) -> bool:
    """Return whether a cell is an opt-out. `role` is what the column was mapped to: a name or a town that sounds
    like a no is none."""
    if role in TRAITS and role != "country":
        return False
    name, text = normalise_header(header), normalise_header(cell)
    if NOT_BY_EMAIL.search(name) and not BY_EMAIL.search(name):
        return False
    if SAYS_NO.fullmatch(text):
        return True
    if ASKS_FOR_A_NO.search(name):
        return text not in EMPTY | NO
    return bool(ASKS_FOR_A_YES.search(name)) and not ABOUT_IT.search(name) and text in NO
