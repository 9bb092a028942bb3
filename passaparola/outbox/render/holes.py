"""Skeleton and holes: a template is cut once into what is the same for everyone and what is not.

Per contact only the holes are computed, by a program that Jinja2's own compiler writes from the same syntax tree,
with shortcuts that change no byte: plain strings are escaped without a Markup object around each, and fields of
plain dicts are taken without asking the sandbox. tests/outbox holds it to that: filled skeleton = plain render.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import nodes
from jinja2.compiler import CodeGenerator
from jinja2.utils import missing
from markupsafe import Markup, escape
from markupsafe import _escape_inner as escape_text  # type: ignore[attr-defined]

from passaparola.channel.sender import Part
from passaparola.outbox.render.dialect import Dialect

Values = Mapping[str, Any]
Program = Callable[[Values], tuple[str, ...]]


def escape_value(value: Any) -> str:
    kind = type(value)
    if kind is str:
        return escape_text(value)
    return value if kind is Markup else str(escape(value))


class CarefulGenerator(CodeGenerator):
    """Jinja2's code generator, escaping through `escaped`."""

    def _output_child_pre(self, node: nodes.Expr, frame: Any, finalize: Any) -> None:
        self.write("escaped(" if frame.eval_ctx.autoescape else "str(")

    def _output_child_post(self, node: nodes.Expr, frame: object, finalize: object) -> None:
        self.write(")")


class FastGenerator(CodeGenerator):
    """The same for contacts who have every field: no call between a field and its escaped text. A field that is
    missing ends in an exception, and the careful program says what that means."""

    careful = 0

    def visit_Name(self, node: nodes.Name, frame: Any) -> None:
        if self.careful or node.ctx != "load":
            super().visit_Name(node, frame)
        else:
            self.write(frame.symbols.ref(node.name))  # `_Given` has looked: it is there

    def visit_Getattr(self, node: nodes.Getattr, frame: Any) -> None:
        if self.careful or (isinstance(node.node, nodes.Name) and node.node.name == "loop"):
            super().visit_Getattr(node, frame)
        else:
            self.visit(node.node, frame)
            self.write(f"[{node.attr!r}]")

    def visit_Filter(self, node: nodes.Filter, frame: object) -> None:
        self._carefully(super().visit_Filter, node, frame, node.name == "default")

    def visit_Test(self, node: nodes.Test, frame: object) -> None:
        self._carefully(super().visit_Test, node, frame, node.name in ("defined", "undefined"))

    def _carefully(self, visit: Callable[..., None], node: nodes.Node, frame: object, may_be_missing: bool) -> None:
        self.careful += may_be_missing
        visit(node, frame)
        self.careful -= may_be_missing

    def _output_child_pre(self, node: nodes.Expr, frame: Any, finalize: Any) -> None:
        self.write("(escape_text(it) if type(it := " if frame.eval_ctx.autoescape else "(it if type(it := ")

    def _output_child_post(self, node: nodes.Expr, frame: Any, finalize: Any) -> None:
        self.write(") is str else escaped(it))" if frame.eval_ctx.autoescape else ") is str else str(it))")


class CarefulDialect(Dialect):
    code_generator_class = CarefulGenerator


class FastDialect(Dialect):
    code_generator_class = FastGenerator


class _Context:
    """As much of Jinja2's Context as a program of this dialect asks for."""

    __slots__ = ("eval_ctx", "values")

    def __init__(self, values: Values, eval_ctx: nodes.EvalContext) -> None:
        self.values, self.eval_ctx = values, eval_ctx  # `join` asks whether it is to escape

    def resolve_or_missing(self, name: str) -> Any:
        return self.values.get(name, missing)


class _FastContext:
    """The same for the fast program: a missing variable is a KeyError."""

    __slots__ = ("eval_ctx", "resolve_or_missing")

    def __init__(self, values: Values, eval_ctx: nodes.EvalContext) -> None:
        self.resolve_or_missing, self.eval_ctx = values.__getitem__, eval_ctx


@dataclass(frozen=True)
class CutTexts:
    """Several texts cut together: their parts, and one program that computes the values of them all."""

    parts: dict[str, Part]
    program: Program
    reads: frozenset[str]  # the variables that the program takes


def cut_texts(texts: Mapping[str, tuple[str, str]], locale: str, constants: Values, *, escape: bool) -> CutTexts:
    """Cut texts into skeleton and holes. `texts` maps a part's name to (source, where). What only reads `constants` is
    folded into the skeleton.

    Raises BadContent: a text is not in the dialect; TemplateError: a constant is missing.
    """
    dialect = CarefulDialect(locale, escape=escape)
    holes: dict[str, nodes.Node] = {}
    parts: dict[str, Part] = {}
    for name, (source, where) in texts.items():
        statics, order = [""], []
        for piece in _pieces(dialect.parse_source(source, where)):
            if isinstance(piece, nodes.TemplateData):
                statics[-1] += str(piece.data)
            elif _reads(piece) <= constants.keys():
                statics[-1] += "".join(_compiled(dialect, [piece])(_Context(constants, nodes.EvalContext(dialect))))
            else:
                key = repr(piece)
                order.append(list(holes).index(key) if key in holes else len(holes))
                holes.setdefault(key, piece)
                statics.append("")
        parts[name] = Part(tuple(statics), tuple(order))
    pieces = list(holes.values())
    reads = frozenset().union(*map(_reads, pieces))
    return CutTexts(parts, _program(pieces, dialect, FastDialect(locale, escape=escape)), reads)


def _pieces(template: nodes.Template) -> list[nodes.Node]:
    return [piece for node in template.body for piece in (node.nodes if isinstance(node, nodes.Output) else [node])]


def _reads(piece: nodes.Node) -> set[str]:
    """Return the variables a piece takes from outside; those that its own loops bind are not among them."""
    names = {node.name for node in _with_itself(piece, nodes.Name) if node.ctx == "load"}
    bound = {node.name for node in _with_itself(piece, nodes.Name) if node.ctx == "store"}
    return names - bound - ({"loop"} if isinstance(piece, nodes.For) else set())


def _with_itself(piece: nodes.Node, kind: type[nodes.Name]) -> list[nodes.Name]:
    return [*([piece] if isinstance(piece, kind) else []), *piece.find_all(kind)]


def _statement(piece: nodes.Node) -> nodes.Node:
    """Return a piece that yields exactly one string; a block is collected whole by a filter that does nothing."""
    line = piece.lineno
    if isinstance(piece, nodes.Expr):
        return nodes.Output([piece], lineno=line)
    return nodes.FilterBlock([piece], nodes.Filter(None, "whole", [], [], None, None, lineno=line), lineno=line)


def _compiled(dialect: Dialect, pieces: list[nodes.Node]) -> Any:
    template = nodes.Template([_statement(piece) for piece in pieces], lineno=1)
    template.set_environment(dialect)
    names = {"environment": dialect, "escaped": escape_value, "escape_text": escape_text}
    exec(dialect.compile(template), names)  # Jinja2's own way: its compiler's code, in a namespace of ours
    return names["root"]


def _program(pieces: list[nodes.Node], careful: Dialect, hasty: Dialect) -> Program:
    quick, sure, eval_ctx = _compiled(hasty, pieces), _compiled(careful, pieces), nodes.EvalContext(careful)

    def run(values: Values) -> tuple[str, ...]:
        try:
            return tuple(quick(_FastContext(values, eval_ctx)))
        except Exception:
            return tuple(sure(_Context(values, eval_ctx)))

    return run


def render_plainly(source: str, locale: str, values: Values, *, escape: bool) -> str:
    """Render the same source through the same dialect as Jinja2 does: the reference for the tests."""
    dialect = Dialect(locale, escape=escape)
    tree = dialect.parse_source(source, "template")
    return dialect.from_string(tree).render(values)
