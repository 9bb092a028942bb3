"""Reading the marketers' files: YAML into strict models, every mistake with its file, line and remedy."""

import re
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from passaparola.errors import BadContent, did_you_mean

Model = TypeVar("Model", bound=BaseModel)


class Loader(yaml.SafeLoader):
    """YAML 1.2 where 1.1 surprises: `on`, `yes` and `no` are words, only true and false are not
    (yaml.org/spec/1.2.2)."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"true|false"), list("tf"))


def read_yaml(path: Path, model: type[Model], home: Path) -> Model:
    """Read a YAML file into a strict model. Raises BadContent: the first thing that is wrong, with file and line."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise BadContent("this file is not UTF-8; save it as UTF-8", str(path.relative_to(home))) from None
    return from_yaml(text, model, str(path.relative_to(home)))


def from_yaml(text: str, model: type[Model], where: str, first_line: int = 1) -> Model:
    try:
        node = yaml.compose(text, Loader=Loader)
        data = yaml.load(text, Loader=Loader)
    except yaml.MarkedYAMLError as error:
        line = (error.problem_mark.line if error.problem_mark else 0) + first_line
        raise BadContent(f"this is not YAML: {error.problem or error.context}", f"{where}:{line}") from None
    except yaml.YAMLError as error:
        raise BadContent(f"this is not YAML: {error}", where) from None
    if not isinstance(data, dict):
        raise BadContent(f"expected fields such as {', '.join(list(model.model_fields)[:3])}", f"{where}:{first_line}")
    try:
        return model.model_validate(data)
    except ValidationError as error:
        # A field with a typo is also a field that is missing: the typo is the thing to say.
        problem = min(error.errors(), key=lambda details: details["type"] != "extra_forbidden")
        path = tuple(part for part in problem["loc"] if not (isinstance(part, str) and part.startswith("function-")))
        line = _line_of(node, path) + first_line
        raise BadContent(_describe_problem(problem, path, model), f"{where}:{line}") from None


def _line_of(node: yaml.Node | None, path: tuple[int | str, ...]) -> int:
    line = node.start_mark.line if node else 0
    for part in path:
        if isinstance(node, yaml.MappingNode):
            matching = [(key, value) for key, value in node.value if key.value == str(part)]
            if not matching:
                return line
            line, node = matching[0][0].start_mark.line, matching[0][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line
    return line


def _describe_problem(problem: object, path: tuple[int | str, ...], model: type[BaseModel]) -> str:
    assert isinstance(problem, dict)
    field = ".".join(str(part) for part in path)
    match problem["type"]:
        case "extra_forbidden":
            return f"“{path[-1]}” is not a field here{did_you_mean(str(path[-1]), _known_fields(model, path[:-1]))}"
        case "missing":
            return f"“{field}” is missing"
        case "value_error":
            return f"{field}: {problem['ctx']['error']!s}" if field else str(problem["ctx"]["error"])
        case _:
            message = str(problem["msg"])
            return f"{field}: {message[0].lower()}{message[1:]} (it is {problem['input']!r})"


def _known_fields(model: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """Return the names that may stand at a path: those of the models met on the way down."""
    names = _aliases(model)
    for part in path:
        annotation = model.model_fields[str(part)].annotation if str(part) in model.model_fields else None
        inner = list(_models_in(annotation))
        if inner:
            names = [name for item in inner for name in _aliases(item)]
            model = inner[0]
    return names


def _aliases(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _models_in(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in getattr(annotation, "__args__", ()) for model in _models_in(inner)]
