"""Grading: one submission, a class on every core or a cluster, and again after a test has changed."""

import sys

# jsonschema would make parsers of web addresses of this at every start, 1.6 s of it, for a check that nothing here asks
sys.modules.setdefault("rfc3987_syntax", None)
