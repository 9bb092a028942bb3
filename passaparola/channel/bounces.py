"""What a bounce says of the address it came from, by its code (RFC 3463) and its words: an address is given up only
on evidence against the address. A block list, our own sender's record, a full mailbox and silence are none."""

import re
from typing import Literal

Verdict = Literal["address", "mailbox", "us", "nothing"]

# Nobody lives there: bad mailbox, bad domain, bad syntax, moved, a domain that takes no mail, a mailbox that was
# closed.
DEAD_CODES = {"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"}
FULL_CODES = {"4.2.2", "5.2.2"}
CODE = re.compile(r"\b([245])\.(\d{1,3})\.(\d{1,3})\b")

# What was wrong was said of us, of our letter, or of the way: it wins over everything, since servers put it under any
# code.
US = re.compile(
    r"block(ed|list|ing)?\b|black ?list|deny "
    r"?list|\bdnsbl\b|\brbl\b|spamhaus|spamcop|barracuda|proofpoint|sorbs|\bspam\b|\bspf\b|\bdkim\b|\bdmarc\b|"
    r"reputation|policy|sender|\bfrom address|return[- ]path|helo|ehlo|reverse "
    r"dns|\bptr\b|\bip\b|relay|authenticat|content|virus|"
    r"too large|size limit|rate|throttl|greylist|graylist|too many|try again|temporar|time(d)? "
    r"?out|connection|unsolicited|rejected due to",
    re.I,
)
FULL = re.compile(
    r"quota|mailbox (is )?full|full mailbox|storage|insufficient (disk|system) space|casella (è )?piena", re.I
)
DEAD = re.compile(
    r"user unknown|unknown user|unknown recipient|recipient unknown|no such (user|recipient|mailbox|address|person)|"
    r"(user|recipient|mailbox|address|account|addressee)[^.]{0,60}(does not exist|doesn.?t exist|not found|not "
    r"known|not exist|is disabled|has been disabled|"
    r"is inactive|no longer (exists|valid|active))|invalid (recipient|mailbox|user)|no mailbox|mailbox not found|not "
    r"a (known|valid) (user|recipient|mailbox)|"
    r"address unknown|unrouteable address|domain (does not exist|not found)|host or domain name not found|utente "
    r"sconosciuto|destinatario sconosciuto|"
    r"(utente|casella|destinatario)[^.]{0,40}inesistente|unbekannter empf",
    re.I,
)


def classify_bounce(status: str, words: str) -> Verdict:
    """Classify a bounce by its code and its words. `status` is the enhanced code where there is one; of several in
    the words the first counts. `mailbox`: it is full."""
    match = CODE.search(status) or CODE.search(words)
    code = match[0] if match else ""
    plain = re.sub(r"https?://\S+|<?\S+@\S+", " ", words)  # what an address is called says nothing of it
    if code in DEAD_CODES and DEAD.search(plain) and not re.search("sender|quota|full", plain, re.I):
        return "address"
    if FULL.search(plain) or code in FULL_CODES:
        return "mailbox"
    if US.search(plain):
        return "us"
    if DEAD.search(plain) or code in DEAD_CODES:
        return "address"
    return "us" if re.match(r"[45]\.[3-7]\.", code) or code in ("4.2.3", "5.2.3") else "nothing"
