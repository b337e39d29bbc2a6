"""Function calling: tools in the prompt, a grammar where a call is wanted, and the call read back from the text."""

import json
import re
from uuid import uuid4

from mini_engine.serve.formats import compiled_grammar
from mini_engine.serve.protocol import RequestError

CALL = re.compile(r"\s*<tool_call>(.*?)(?:</tool_call>\s*)?$", re.DOTALL)
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Tools:
    """The functions that a chat request offers, and how free the model is to call one.

    tools: [{"type": "function", "function": {"name", "description", "parameters"}}]; choice: "auto" (the default),
    "none", "required" or {"type": "function", "function": {"name"}}. Raises RequestError for anything else.
    """

    def __init__(self, tools, choice=None):
        self.functions = {}
        for i, tool in enumerate(tools or []):
            function = tool.get("function")
            name = function.get("name") if isinstance(function, dict) else None
            if tool.get("type") != "function" or not isinstance(name, str) or not NAME.fullmatch(name):
                raise RequestError(f"tools[{i}] is no function with a name of letters, digits, _ and -", "tools")
            if name in self.functions:
                raise RequestError(f"tools has two functions named {name!r}", "tools")
            self.functions[name] = function
        self.wanted = self._wanted("auto" if choice is None else choice)

    def _wanted(self, choice):
        """The names of which one must be called; () where none must, None where none may."""
        if isinstance(choice, dict):
            named = choice.get("function")
            choice = [named.get("name") if isinstance(named, dict) else None]
            if choice[0] not in self.functions:
                raise RequestError(f"tool_choice names {choice[0]!r}, which is not among the tools", "tool_choice")
            return tuple(choice)
        if choice not in ("auto", "none", "required"):
            raise RequestError("tool_choice is auto, none, required or a function's name", "tool_choice")
        if choice == "required" and not self.functions:
            raise RequestError("tool_choice is required, but there are no tools", "tool_choice")
        return {"none": None, "auto": (), "required": tuple(self.functions)}[choice]

    @property
    def may_call(self):
        """Whether the answer may be a call."""
        return bool(self.functions) and self.wanted is not None

    def into(self, messages):
        """Messages for the chat template; the system message describes the functions where one may be called."""
        messages = [message.for_template() for message in messages]
        if not self.may_call:
            return messages
        lines = [json.dumps(function, ensure_ascii=False) for function in self.functions.values()]
        form = '{"name": "the function", "arguments": {"of": "the call"}}'
        wish = "" if self.wanted else ", or with a text where no function helps"
        text = (
            f"You can call these functions:\n{chr(10).join(lines)}\nTo call one, answer with <tool_call>{form}{wish}."
        )
        if self.wanted:
            text = text.replace("<tool_call>", "")
        system = next((m["content"] + "\n\n" for m in messages[:1] if m["role"] == "system"), "")
        return [{"role": "system", "content": system + text}, *messages[bool(system) :]]

    def grammar(self, tokenizer):
        """The grammar of a call of a wanted function; None where the model is free."""
        return compiled_grammar(self.schema(), tokenizer, "tools") if self.wanted else None

    def schema(self):
        """The JSON schema of a call of one of the wanted functions."""
        calls = {name: self._call_schema(name) for name in self.wanted}
        return {"anyOf": [{"$ref": f"#/$defs/{name}"} for name in calls], "$defs": calls}

    def _call_schema(self, name):
        """The schema of a call of one function; its own references are led to where its parameters stand now."""
        parameters = self.functions[name].get("parameters") or {"type": "object"}
        properties = {"name": {"const": name}, "arguments": moved(parameters, f"#/$defs/{name}/properties/arguments")}
        return {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}

    def read(self, text):
        """The call in an answer, in the API's form, or None where the answer is a text."""
        found = None if self.wanted else CALL.match(text)
        if not self.may_call or not (self.wanted or found):
            return None
        try:
            call = json.loads(found[1] if found else text)
            function = {"name": call["name"], "arguments": json.dumps(call["arguments"], ensure_ascii=False)}
        except (ValueError, LookupError, TypeError):
            return None  # cut off by max_tokens, or no call after all
        if function["name"] not in self.functions:
            return None
        return {"id": f"call_{uuid4().hex[:24]}", "type": "function", "function": function}


def moved(schema, place):
    """A schema whose references within itself begin at `place` of another one."""
    if isinstance(schema, dict):
        return {key: _moved_ref(key, value, place) for key, value in schema.items()}
    return [moved(each, place) for each in schema] if isinstance(schema, list) else schema


def _moved_ref(key, value, place):
    if key == "$ref" and isinstance(value, str) and value.startswith("#"):
        return place + value[1:]
    return moved(value, place)
