"""One scalar out of a JSON column, if it is of the kind asked for, else NULL; the same on both databases."""

from typing import Any

from sqlalchemy import Boolean, ColumnElement, Float, String, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class json_text(FunctionElement[str]):
    type = String()
    inherit_cache = True


class json_key(FunctionElement[str]):
    """A text or a whole number, as text: what identifies something."""

    type = String()
    inherit_cache = True


class json_number(FunctionElement[float]):
    type = Float()
    inherit_cache = True


class json_boolean(FunctionElement[bool]):
    type = Boolean()
    inherit_cache = True


def scalar(column: object, name: str, kind: str) -> ColumnElement[Any]:
    function = {"text": json_text, "key": json_key, "number": json_number, "boolean": json_boolean}[kind]
    clause: ColumnElement[Any] = function(column, literal(name))  # type: ignore[assignment]
    return clause


def _on_sqlite(kinds: str, value: str) -> Any:
    def write(element: FunctionElement[Any], compiler: SQLCompiler, **kw: object) -> str:
        column, name = (compiler.process(part, **kw) for part in element.clauses)
        path = f"('$.\"' || {name} || '\"')"
        sql = value.format(f"json_extract({column}, {path})")
        return f"CASE WHEN json_type({column}, {path}) IN ({kinds}) THEN {sql} END"

    return write


def _on_postgresql(kind: str, cast: str) -> Any:
    def write(element: FunctionElement[Any], compiler: SQLCompiler, **kw: object) -> str:
        column, name = (compiler.process(part, **kw) for part in element.clauses)
        name = f"CAST({name} AS TEXT)"
        return f"CASE WHEN jsonb_typeof({column} -> {name}) IN ({kind}) THEN ({column} ->> {name}){cast} END"

    return write


compiles(json_text, "sqlite")(_on_sqlite("'text'", "{}"))
compiles(json_key, "sqlite")(_on_sqlite("'text', 'integer'", "CAST({} AS TEXT)"))
compiles(json_number, "sqlite")(_on_sqlite("'integer', 'real'", "CAST({} AS REAL)"))
compiles(json_boolean, "sqlite")(_on_sqlite("'true', 'false'", "{}"))
compiles(json_text, "postgresql")(_on_postgresql("'string'", ""))
compiles(json_key, "postgresql")(_on_postgresql("'string', 'number'", ""))
compiles(json_number, "postgresql")(_on_postgresql("'number'", "::double precision"))
compiles(json_boolean, "postgresql")(_on_postgresql("'boolean'", "::boolean"))
