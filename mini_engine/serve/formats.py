"""response_format of a request: the grammar that its answer must follow."""

import json
from functools import lru_cache

from mini_engine.grammar.constraint import Grammar
from mini_engine.serve.protocol import RequestError

FIELD = "response_format"


def grammar_for(response_format, tokenizer):
    """The Grammar of {"type": "json_object"} or {"type": "json_schema", "json_schema": {"schema": …}}; None for text.

    Equal schemas share one. Raises RequestError for what cannot be served.
    """
    kind = response_format.get("type")
    if kind == "text":
        return None
    if kind not in ("json_object", "json_schema"):
        raise RequestError(f"{FIELD}.type is text, json_object or json_schema, not {kind!r}", f"{FIELD}.type")
    schema = None
    if kind == "json_schema":
        named = response_format.get("json_schema")
        if not isinstance(named, dict) or not isinstance(named.get("schema"), dict):
            raise RequestError(f"{FIELD}.json_schema.schema is missing: an object is needed", f"{FIELD}.json_schema")
        schema = named["schema"]
    return compiled_grammar(schema, tokenizer, FIELD)


def compiled_grammar(schema, tokenizer, field):
    """The Grammar of a schema, or of any object for None. Raises RequestError that names the request's field."""
    try:
        return _compiled(None if schema is None else json.dumps(schema), tokenizer)
    except (ValueError, RecursionError) as error:
        raise RequestError(str(error), field, "invalid_schema") from None


@lru_cache(maxsize=64)
def _compiled(schema, tokenizer):
    """schema: JSON text, whose members' order counts; None stands for any object."""
    if schema is None:
        return Grammar.json_object(tokenizer)
    return Grammar.from_schema(json.loads(schema), tokenizer)
