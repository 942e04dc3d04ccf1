"""Small changes made to a module on purpose, by its syntax tree."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TURNED: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.Gt, ast.LtE),
    ast.LtE: (ast.GtE, ast.Lt),
    ast.Gt: (ast.Lt, ast.GtE),
    ast.GtE: (ast.LtE, ast.Gt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
SWAPPED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
# Names of modes, columns and files; other strings are words for people.
MODE = re.compile(r"[a-z][a-z0-9_]{1,20}")
LONGEST_SHOWN = 60
# Arguments that state what our own code keeps, as an assert does.
ASSERTIONS = ("strict",)


@dataclass(frozen=True)
class Mutant:
    """A change of a module.

    file: relative to the repository. where: the function or class that it is in. line: the first
    of those, first to last, whose execution the change may be noticed in. start, end: the bytes
    that `new` takes the place of.
    """

    file: str
    where: str
    line: int
    lines: range
    start: int
    end: int
    new: str
    change: str

    @property
    def name(self) -> str:
        """What it is, wherever in the file it has come to lie."""
        return f"{self.file}:{self.where}: {self.change}"

    def source(self, original: bytes) -> bytes:
        """Return the module with the change."""
        return original[: self.start] + self.new.encode() + original[self.end :]


def mutants(repository: Path, file: str) -> list[Mutant]:
    """List all mutants of a module, in its order; of equal ones in a function, each is numbered."""
    source = (repository / file).read_bytes()
    found, seen = [], Counter[str]()
    for mutant in _Walk(file, source).module():
        seen[mutant.name] += 1
        again = f" (#{seen[mutant.name]})" if seen[mutant.name] > 1 else ""
        found.append(Mutant(**{**vars(mutant), "change": mutant.change + again}))
    return found


class _Walk:
    def __init__(self, file: str, source: bytes) -> None:
        self.file = file
        self.source = source
        self.starts = [0]
        for line in source.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))

    def module(self) -> Iterator[Mutant]:
        yield from self.body(ast.parse(self.source).body, "", None)

    def body(
        self, statements: list[ast.stmt], where: str, function: ast.AST | None
    ) -> Iterator[Mutant]:
        """Change the statements of a block. function: the innermost one that they are in."""
        known = _bound_before(function)
        for statement in statements:
            if _is_words(statement):
                continue
            if isinstance(statement, ast.FunctionDef | ast.ClassDef):
                inner = f"{where}.{statement.name}" if where else statement.name
                is_function = isinstance(statement, ast.FunctionDef)
                lines = range(statement.body[0].lineno, (statement.end_lineno or 0) + 1)
                if isinstance(statement, ast.FunctionDef):
                    arguments = statement.args
                    for default in (*arguments.defaults, *arguments.kw_defaults):
                        if default is not None:
                            yield from self.expressions(default, inner, lines)
                yield from self.body(statement.body, inner, statement if is_function else None)
                continue
            blocks = [
                block
                for name in ("body", "orelse", "finalbody")
                if (block := getattr(statement, name, None))
            ]
            blocks += [handler.body for handler in getattr(statement, "handlers", ())]
            blocks += [case.body for case in getattr(statement, "cases", ())]
            last = blocks[0][0].lineno - 1 if blocks else statement.end_lineno or 0
            lines = range(statement.lineno, max(last, statement.lineno) + 1)
            if function is None and not blocks:
                lines = range(0)  # Its value may be used anywhere in the file.
            if not blocks and self.may_be_left_out(statement, known):
                shown = _shown(statement)
                yield self.mutant(statement, "pass", f"`{shown}` left out", where, lines)
            if not isinstance(statement, ast.Raise):
                yield from self.of_statement(statement, where, lines)
            for block in blocks:
                yield from self.body(block, where, function)

    def may_be_left_out(self, statement: ast.stmt, known: dict[str, int]) -> bool:
        match statement:
            case ast.Expr(value=ast.Call() | ast.Yield() | ast.YieldFrom()):
                return True
            case ast.Raise() | ast.AugAssign() | ast.Continue() | ast.Break() | ast.Delete():
                return True
            case ast.Return(value=None):
                return True
            case ast.Assign(targets=[ast.Name(id=name)]):
                # Of a name that has had a value before; another one would be missing at once.
                return known.get(name, statement.lineno) < statement.lineno
            case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
                return True
        return False

    def of_statement(self, statement: ast.stmt, where: str, lines: range) -> Iterator[Mutant]:
        """Change the expressions of a statement, without those of the blocks in it."""
        match statement:
            case ast.AugAssign(target=target, op=op) if type(op) in SWAPPED:
                other = ast.AugAssign(target, SWAPPED[type(op)](), statement.value)
                yield self.changed(statement, other, where, lines)
        condition = getattr(statement, "test", None)
        if isinstance(statement, ast.If | ast.While) and condition is not None:
            yield from self.negated(condition, where, lines)
        for name, value in ast.iter_fields(statement):
            if name in ("body", "orelse", "finalbody", "handlers", "annotation", "targets"):
                continue
            for node in value if isinstance(value, list) else [value]:
                if isinstance(node, ast.match_case):
                    if node.guard:
                        yield from self.expressions(node.guard, where, lines)
                elif isinstance(node, ast.withitem):
                    yield from self.expressions(node.context_expr, where, lines)
                elif isinstance(node, ast.expr):
                    yield from self.expressions(node, where, lines)

    def negated(self, test: ast.expr, where: str, lines: range) -> Iterator[Mutant]:
        # A comparison alone is turned.
        if not isinstance(test, ast.Compare):
            other = (
                test.operand
                if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)
                else ast.UnaryOp(ast.Not(), test)
            )
            yield self.changed(test, other, where, lines)

    def expressions(self, node: ast.expr, where: str, lines: range) -> Iterator[Mutant]:
        """Change an expression and those within it; an f-string is words for people."""
        if isinstance(node, ast.JoinedStr):
            return
        for new in _others(node):
            yield self.changed(node, new, where, lines)
        if isinstance(node, ast.IfExp):
            yield from self.negated(node.test, where, lines)
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.comprehension):
                yield from self.expressions(child.iter, where, lines)
                for test in child.ifs:
                    yield from self.negated(test, where, lines)
                    yield from self.expressions(test, where, lines)
            elif isinstance(child, ast.keyword) and child.arg not in ASSERTIONS:
                yield from self.expressions(child.value, where, lines)
            elif isinstance(child, ast.expr):
                yield from self.expressions(child, where, lines)

    def changed(
        self, old: ast.expr | ast.stmt, new: ast.expr | ast.stmt, where: str, lines: range
    ) -> Mutant:
        text = ast.unparse(ast.fix_missing_locations(new))
        change = f"`{_shown(old)}` made `{_shown(new)}`"
        if isinstance(new, ast.expr):
            # Over as many lines as it had, so that the others keep their numbers.
            text = f"({text})"
        return self.mutant(old, text, change, where, lines)

    def mutant(
        self, old: ast.expr | ast.stmt, new: str, change: str, where: str, lines: range
    ) -> Mutant:
        assert old.end_lineno is not None and old.end_col_offset is not None
        start = self.starts[old.lineno - 1] + old.col_offset
        end = self.starts[old.end_lineno - 1] + old.end_col_offset
        return Mutant(self.file, where, old.lineno, lines, start, end, new, change)


def _shown(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 3] + "..."


def _others(node: ast.expr) -> Iterator[ast.expr]:
    """Give what an expression may be changed into, the expressions within it left as they are."""
    match node:
        case ast.Compare(ops=operators):
            for index, operator in enumerate(operators):
                for turned in TURNED[type(operator)]:
                    ops = [*operators[:index], turned(), *operators[index + 1 :]]
                    yield ast.Compare(node.left, ops, node.comparators)
        case ast.BinOp(op=op) if type(op) in SWAPPED:
            yield ast.BinOp(node.left, SWAPPED[type(op)](), node.right)
        case ast.BoolOp(op=op):
            yield ast.BoolOp(ast.Or() if isinstance(op, ast.And) else ast.And(), node.values)
        case ast.UnaryOp(op=ast.USub() | ast.Invert()):
            yield node.operand
        case ast.Call(keywords=keywords):
            for index, keyword in enumerate(keywords):
                if keyword.arg not in (None, *ASSERTIONS):
                    others = [*keywords[:index], *keywords[index + 1 :]]
                    yield ast.Call(node.func, node.args, others)
        case ast.Constant(value=value):
            yield from map(ast.Constant, _moved(value))


def _moved(value: object) -> list[Any]:
    """Give other values of a constant."""
    match value:
        case bool():
            return [not value]
        case int():
            return [value + 1]
        case float():
            return [value * 2 or 1.0]
        case str() if MODE.fullmatch(value):
            return [value + "_"]
    return []


def _is_words(statement: ast.stmt) -> bool:
    """Tell what does nothing, or states what our own code keeps."""
    match statement:
        case ast.Expr(value=ast.Constant()) | ast.Import() | ast.ImportFrom() | ast.Assert():
            return True
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return True
    return False


def _bound_before(function: ast.AST | None) -> dict[str, int]:
    """Give the line where each name of a function is first bound."""
    known: dict[str, int] = {}
    if not isinstance(function, ast.FunctionDef):
        return known
    for node in ast.walk(function):
        if isinstance(node, ast.arg):
            known[node.arg] = 0
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            known[node.id] = min(known.get(node.id, node.lineno), node.lineno)
    return known
