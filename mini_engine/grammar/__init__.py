"""Structured output: from a JSON schema or a regular expression to a mask over the vocabulary."""
