"""A refusal on its way from a worker to the driver: one word of text, whichever engine carries it."""

from __future__ import annotations

import base64
import json
import re

from ofs_spark.foundation.codes import CODES
from ofs_spark.foundation.errors import Refusal, refuse

_SENT = re.compile(r"<ofs-refusal ([A-Za-z0-9+/=]+)>")
_MOST = 256 * 1024
"""Characters of a refusal that travels; beyond them its details stay behind."""


def encode_refusal(refusal: Refusal) -> str:
    """A refusal as one word that no formatting of text takes apart. What to run next stays the table's."""
    body = json.dumps([refusal.code, refusal.message, refusal.details])
    if len(body) > _MOST:
        body = json.dumps([refusal.code, refusal.message[:1_000], {}])
    return f"<ofs-refusal {base64.b64encode(body.encode()).decode()}>"


def decode_refusal(text: str) -> Refusal | None:
    """The refusal in a text that `encode_refusal` wrote; None if there is none."""
    found = _SENT.search(text)
    if found is None:
        return None
    code, message, details = json.loads(base64.b64decode(found[1]))
    return refuse(code, message, **details) if code in CODES else None
