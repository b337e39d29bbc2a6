"""The changes that make mutants: each operator takes a node of the syntax tree and yields (label, changed node).

The operators are those of mutation testing (DeMillo, Lipton, Sayward 1978, "Hints on test data selection") with what
goes wrong in numeric code added: a dropped axis=, an unwrapped call, swapped axes, the wrong head count.
"""

import ast
import copy

from .shader_operators import mutate_shader

COMPARE = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
ARITHMETIC = {
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Add, ast.Div),
    ast.Div: (ast.Mult,),
    ast.FloorDiv: (ast.Mult, ast.Div),
    ast.Mod: (ast.FloorDiv,),
    ast.Pow: (ast.Mult,),
    ast.MatMult: (ast.Mult,),
    ast.LShift: (ast.RShift,),
    ast.RShift: (ast.LShift,),
    ast.BitAnd: (ast.BitOr,),
    ast.BitOr: (ast.BitAnd,),
}
ORDERED = (ast.Sub, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.MatMult)
# Names whose mix-up is a well-known mistake; applied to function names and attributes, both ways.
MIXED_UP = (
    ("max", "min"),
    ("argmax", "argmin"),
    ("maximum", "minimum"),
    ("any", "all"),
    ("floor", "ceil"),
    ("sum", "mean"),
    ("sin", "cos"),
    ("repeat", "tile"),
    ("zeros", "ones"),
    ("triu", "tril"),
    ("log", "log2"),
    ("append", "insert"),
    ("num_attention_heads", "num_key_value_heads"),
    ("hidden_size", "intermediate_size"),
)
OTHER_NAME = {name: other for pair in MIXED_UP for name, other in (pair, pair[::-1])} | {"append": "extend"}
LEFT_ALONE = ("rtol", "atol", "strict")
DELETABLE = (ast.Assign, ast.AugAssign, ast.Expr, ast.For, ast.Delete, ast.Break, ast.Continue, ast.Raise)


def changed(node, **fields):
    """A copy of a node with some of its fields replaced; the others are shared."""
    new = copy.copy(node)
    for name, value in fields.items():
        setattr(new, name, value)
    return new


def shifted(node, by):
    """The expression `node + 1` or `node - 1`."""
    return ast.BinOp(copy.deepcopy(node), ast.Add() if by > 0 else ast.Sub(), ast.Constant(abs(by)))


def has_constant(node):
    """Is it a number, or a sum with one? Then the constant's own mutants shift it."""
    return isinstance(node, ast.Constant) or isinstance(node, ast.BinOp) and isinstance(node.right, ast.Constant)


def swaps(items):
    """The list with two neighbours swapped, for each pair."""
    for i in range(len(items) - 1):
        yield i, [*items[:i], items[i + 1], items[i], *items[i + 2 :]]


def mutate_compare(node):
    for i, operation in enumerate(node.ops):
        for other in COMPARE[type(operation)]:
            yield "comparison", changed(node, ops=[*node.ops[:i], other(), *node.ops[i + 1 :]])


def mutate_arithmetic(node):
    for other in ARITHMETIC.get(type(node.op), ()):
        yield "arithmetic", changed(node, op=other())
    yield "right operand dropped", copy.deepcopy(node.left)
    yield "left operand dropped", copy.deepcopy(node.right)
    if isinstance(node.op, ORDERED):
        yield "operands swapped", changed(node, left=node.right, right=node.left)


def mutate_unary(node):
    yield "sign or not dropped", copy.deepcopy(node.operand)


def mutate_boolean(node):
    yield "and/or", changed(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
    for i in range(len(node.values)):
        rest = node.values[:i] + node.values[i + 1 :]
        yield "condition dropped", copy.deepcopy(rest[0]) if len(rest) == 1 else changed(node, values=rest)


def mutate_constant(node):
    value = node.value
    if isinstance(value, bool):
        yield "constant", ast.Constant(not value)
    elif isinstance(value, int):
        yield "off by one", ast.Constant(value + 1)
        yield "off by one", ast.Constant(value - 1) if value > 0 else ast.UnaryOp(ast.USub(), ast.Constant(1 - value))
    elif isinstance(value, float):
        yield "constant", ast.Constant(value * 2)
        yield "constant", ast.Constant(0.0)


def mutate_call(node):
    for i, keyword in enumerate(node.keywords):
        if keyword.arg in LEFT_ALONE:
            continue
        yield f"{keyword.arg}= dropped", changed(node, keywords=node.keywords[:i] + node.keywords[i + 1 :])
    if node.args and not isinstance(node.args[0], ast.Starred):
        yield "call unwrapped", copy.deepcopy(node.args[0])
    if isinstance(node.func, ast.Attribute):
        yield "method call dropped", copy.deepcopy(node.func.value)
    for _, order in swaps(node.args):
        yield "arguments swapped", changed(node, args=order)
    if len(node.args) > 1:
        yield "last argument dropped", changed(node, args=node.args[:-1])
    if isinstance(node.func, ast.Name) and node.func.id == "range":
        for i, bound in enumerate(node.args):
            if not has_constant(bound):
                for by in (1, -1):
                    yield "off by one", changed(node, args=[*node.args[:i], shifted(bound, by), *node.args[i + 1 :]])


def mutate_name(node):
    if isinstance(node.ctx, ast.Load) and node.id in OTHER_NAME:
        yield "mixed up", changed(node, id=OTHER_NAME[node.id])


def mutate_attribute(node):
    if node.attr == "T":
        yield ".T dropped", copy.deepcopy(node.value)
    if node.attr in OTHER_NAME:
        yield "mixed up", changed(node, attr=OTHER_NAME[node.attr])


def mutate_slice(node):
    for end in ("lower", "upper", "step"):
        bound = getattr(node, end)
        if bound is None:
            continue
        yield f"{end} bound dropped", changed(node, **{end: None})
        if end != "step" and not has_constant(bound):
            for by in (1, -1):
                yield "off by one", changed(node, **{end: shifted(bound, by)})


def mutate_subscript(node):
    if isinstance(node.ctx, ast.Load) and isinstance(node.slice, ast.Name | ast.BinOp) and not has_constant(node.slice):
        yield "index off by one", changed(node, slice=shifted(node.slice, -1))


def mutate_tuple(node):
    for _, order in swaps(node.elts):
        yield "elements swapped", changed(node, elts=order)


def mutate_branch(node):
    yield "condition negated", changed(node, test=ast.UnaryOp(ast.Not(), copy.deepcopy(node.test)))
    if isinstance(node, ast.If):
        yield "never taken", changed(node, test=ast.Constant(False))


def mutate_choice(node):
    yield "first choice always", copy.deepcopy(node.body)
    yield "second choice always", copy.deepcopy(node.orelse)


def mutate_return(node):
    if node.value is not None and not (isinstance(node.value, ast.Constant) and not node.value.value):
        yield "nothing returned", ast.Return(ast.Constant(None))


def mutate_statement(node):
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return
    yield "statement deleted", ast.Pass()


def mutate_update(node):
    yield "update to assignment", ast.Assign([copy.deepcopy(node.target)], copy.deepcopy(node.value))
    for other in ARITHMETIC.get(type(node.op), ()):
        yield "arithmetic", changed(node, op=other())


def mutate_comprehension(node):
    for i, generator in enumerate(node.generators):
        if generator.ifs:
            plain = changed(generator, ifs=[])
            yield "filter dropped", changed(node, generators=[*node.generators[:i], plain, *node.generators[i + 1 :]])


OPERATORS = (
    (ast.Compare, mutate_compare),
    (ast.BinOp, mutate_arithmetic),
    (ast.UnaryOp, mutate_unary),
    (ast.BoolOp, mutate_boolean),
    (ast.Constant, mutate_constant),
    (ast.Constant, mutate_shader),
    (ast.Call, mutate_call),
    (ast.Name, mutate_name),
    (ast.Attribute, mutate_attribute),
    (ast.Slice, mutate_slice),
    (ast.Subscript, mutate_subscript),
    (ast.Tuple, mutate_tuple),
    (ast.If | ast.While, mutate_branch),
    (ast.IfExp, mutate_choice),
    (ast.Return, mutate_return),
    (DELETABLE, mutate_statement),
    (ast.AugAssign, mutate_update),
    (ast.ListComp | ast.GeneratorExp | ast.SetComp | ast.DictComp, mutate_comprehension),
)
