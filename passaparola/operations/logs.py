"""Lines for people or for machines, and in neither a contact: whatever looks like an address leaves a log as its
domain."""

import logging
import re
import sys

from passaparola.settings import get_settings

ADDRESS = re.compile(r"[\w.+%-]{1,64}@([\w-]+(?:\.[\w-]+)+)")
NUMBER = re.compile(r"\+\d[\d ()-]{7,}\d")
FIELDS = "%(asctime)s %(levelname)s %(name)s %(message)s"


class RedactAddresses(logging.Filter):
    """A filter that takes addresses out of every record: what the code should not have written is not written down
    either."""

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        clean = NUMBER.sub("+…", ADDRESS.sub(r"…@\1", text))
        if clean != text:
            record.msg, record.args = clean, ()
        if record.exc_info and record.exc_info[0]:  # a traceback shows values
            record.msg, record.args = f"{record.getMessage()} ({record.exc_info[0].__name__})", ()
            record.exc_info = record.exc_text = None
        return True


def configure_logging() -> None:
    """Configure logging for a process of ours that runs for long: standard error, one line for each thing; JSON by
    PASSAPAROLA_LOG_FORMAT=json."""
    handler = logging.StreamHandler(sys.stderr)
    if get_settings().log_format == "json":
        from pythonjsonlogger.json import JsonFormatter

        handler.setFormatter(
            JsonFormatter(FIELDS, rename_fields={"asctime": "at", "levelname": "level", "name": "from"})
        )
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))
    handler.addFilter(RedactAddresses())
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    logging.getLogger("httpx").setLevel(logging.WARNING)
