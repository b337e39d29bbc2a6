"""Code of at most 88 columns for the notebooks, where JupyterLab cuts longer lines. The scripts are wider.

`ruff format` breaks the code; comments, docstrings and string literals, which it leaves alone, are broken here.
"""

import ast
import io
import re
import subprocess
import sys
import textwrap
import tokenize

COLUMNS = 88
RUFF = [sys.executable, "-m", "ruff", "format", "--isolated", "--target-version", "py311"]
LITERAL = re.compile(r"""([fFbBuU]?)("|')(.*)\2""")
GOES_ON = re.compile(r"""\s*[fFbBrRuU]*["']""")
WHOLE_WORDS = {"break_long_words": False, "break_on_hyphens": False}
COMMENT = re.compile(r"( *)# (?!%%)(\S.*)")
# words to ruff, which say nothing to a student
TO_RUFF, SKIP = re.compile(r"(?m)  # noqa\b.*$"), re.compile(r"(?m)  # fmt: skip$")


def narrow(script):
    """The text of an assignment script with code cells of at most COLUMNS columns; Markdown cells stay as they are.

    script: one that `read_script` accepts. A literal without a blank to break at stays as wide as it is.
    """
    # first the comments: ruff breaks a line for the sake of one behind it, and leaves it behind a bracket
    lifted = "\n".join(lift_comments(TO_RUFF.sub("", script).split("\n")))
    command = [*RUFF, "--line-length", str(COLUMNS), "-"]
    done = subprocess.run(command, input=lifted, capture_output=True, text=True, encoding="utf-8", check=True)
    cells = re.split(r"(?m)^(?=# %%)", SKIP.sub("", done.stdout))
    return "".join(cell if "[markdown]" in cell.split("\n", 1)[0] else narrow_cell(cell) for cell in cells)


def narrow_cell(source):
    if max(map(len, source.split("\n"))) <= COLUMNS:
        return source
    for step in (narrow_docstrings, narrow_comments, narrow_literals):
        source = "\n".join(step(source.split("\n"), source))
    return source


def filled(lines, indent, mark=""):
    """Lines of one indent as paragraphs that fit, each line behind `mark`; tables and lists line by line."""
    out, paragraph = [], []

    def close():
        if max(map(len, paragraph), default=0) <= COLUMNS:
            out.extend(paragraph)
        else:
            words = " ".join(line.removeprefix(indent + mark).strip() for line in paragraph)
            edge = indent + mark
            out.extend(textwrap.wrap(words, COLUMNS, initial_indent=edge, subsequent_indent=edge, **WHOLE_WORDS))
        paragraph.clear()

    for line in lines:
        body = line.removeprefix(indent + mark)
        if body.strip() in ("", '"""') or body.startswith(" "):
            close()
            out.append(line)
        else:
            paragraph.append(line)
    close()
    return out


def narrow_docstrings(lines, source):
    kinds = (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, kinds) and ast.get_docstring(node)]
    for node in sorted(nodes, key=lambda node: -node.lineno):
        text = node.body[0]
        lines[text.lineno - 1 : text.end_lineno] = filled(
            lines[text.lineno - 1 : text.end_lineno], " " * text.col_offset
        )
    return lines


def tokens_of(source):
    return tokenize.generate_tokens(io.StringIO(source).readline)


def lift_comments(lines):
    """A comment behind a line that is too long goes above it."""
    ends = [token.start for token in tokens_of("\n".join(lines)) if token.type == tokenize.COMMENT]
    for row, column in reversed(ends):
        line = lines[row - 1]
        code = line[:column].rstrip()
        if len(line) > COLUMNS and code:
            lines[row - 1 : row] = [line[: len(line) - len(line.lstrip())] + line[column:], code]
    return lines


def narrow_comments(lines, source):
    found = {token.start[0]: token.start[1] for token in tokens_of(source) if token.type == tokenize.COMMENT}
    out, block, indent = [], [], ""
    for row, line in enumerate([*lines, ""], 1):
        match = COMMENT.fullmatch(line) if row in found else None
        if block and not (match and match[1] == indent):
            out += filled(block, indent, "# ")
            block = []
        if match:
            indent = match[1]
            block.append(line)
        else:
            out.append(line)
    return out[:-1]


def literals_of(source):
    """(line, start, end) of the string literals that stand on one line, f-strings whole in every Python."""
    depth, opening = 0, None
    starts, ends = (getattr(tokenize, name, None) for name in ("FSTRING_START", "FSTRING_END"))
    for token in tokens_of(source):
        if token.type == tokenize.STRING and not depth and token.start[0] == token.end[0]:
            yield token.start[0], token.start[1], token.end[1]
        elif starts is not None and token.type == starts:
            opening = opening if depth else token.start
            depth += 1
        elif ends is not None and token.type == ends:
            depth -= 1
            if not depth and opening[0] == token.end[0]:
                yield opening[0], opening[1], token.end[1]


def narrow_literals(lines, source):
    longest = {}
    for row, start, end in literals_of(source):
        if len(lines[row - 1]) > COLUMNS and end - start > longest.get(row, (0, 0, 0))[0]:
            longest[row] = end - start, start, end
    for row, (_, start, end) in sorted(longest.items(), reverse=True):
        line = lines[row - 1]
        indent = " " * (len(line) - len(line.lstrip()))
        stands_alone = not line[:start].strip() and line[end:] in ("", ",")
        inner = indent if stands_alone else indent + "    "
        goes_on = not line[end:] and row < len(lines) and GOES_ON.match(lines[row])  # Python joins it with the next
        parts = pieces(line[start:end], COLUMNS - (start if goes_on else len(inner)) - 1)
        if goes_on:
            lines[row - 1 : row] = [line[:start] + parts[0], *(indent + part for part in parts[1:])]
        elif stands_alone:
            lines[row - 1 : row] = [*(inner + part for part in parts[:-1]), inner + parts[-1] + line[end:]]
        elif len(parts) > 1 or len(inner + parts[0]) <= COLUMNS:
            lines[row - 1 : row] = [line[:start] + "(", *(inner + part for part in parts), indent + ")" + line[end:]]
    return lines


def pieces(literal, width):
    """A literal as several that Python joins again, broken behind blanks, or else between an f-string's fields."""
    match = LITERAL.fullmatch(literal)
    if not match or literal[:3] in ('"""', "'''"):
        return [literal]
    prefix, quote, body = match.groups()
    blanks, fields, depth = [], [], 0
    for place, letter in enumerate(body):
        depth += {"{": 1, "}": -1}.get(letter, 0) if prefix in ("f", "F") else 0
        if not depth and letter in " }" and body[place + 1 : place + 2] not in ("", " ", "}"):
            (blanks if letter == " " else fields).append(place + 1)
    parts, start = [], 0
    while start < len(body):
        room = start + width - len(prefix) - 2
        fit = [[place for place in places if start < place <= room] for places in (blanks, fields)]
        stop = len(body) if len(body) <= room else max(fit[0] or fit[1], default=len(body))
        part = body[start:stop]
        keep = prefix if prefix not in ("f", "F") or set(part) & {"{", "}"} else ""
        parts.append(f"{keep}{quote}{part}{quote}")
        start = stop
    return parts
