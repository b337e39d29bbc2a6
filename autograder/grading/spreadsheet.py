"""CSV that a spreadsheet may open: what a student could have written there stays text."""

import csv
import io
import re
import unicodedata


def harmless(value):
    """A field that a spreadsheet takes for text: what begins like a formula gets an apostrophe in front."""
    text = str(value)
    first = unicodedata.normalize("NFKC", text.lstrip()[:1])  # a sign of full width counts too
    formula = first in ("=", "@", "+", "-") and text != "-" and not is_number(text)
    return f"'{text}" if formula or text[:1] in ("\t", "\r") else text


def is_number(text):
    return re.fullmatch(r"[-+]?\d+([.,]\d+)?", text) is not None


def as_csv(header, rows, separator=","):
    out = io.StringIO()
    csv.writer(out, delimiter=separator, lineterminator="\n").writerows(
        [[harmless(value) for value in row] for row in [header, *rows]]
    )
    return out.getvalue()
