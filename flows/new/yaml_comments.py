"""YAML in which values have their reasons beside them."""

import functools
import io
import json
import re
from typing import Any, NamedTuple

from ruamel.yaml import YAML

WORDS = re.compile(r"[^\W\d]\w*([ ./()+-]+\w+)*/?")  # that need no quotes, unless they mean something: null, true
LONGEST = 1000  # letters of a key, as it is written: YAML takes 1,024


class Said(NamedTuple):
    """A value, and why it is so."""

    value: Any
    why: str


def plain(content: Any) -> Any:
    """The same without the reasons."""
    if isinstance(content, Said):
        return plain(content.value)
    if isinstance(content, dict):
        return {key: plain(value) for key, value in content.items()}
    return [plain(value) for value in content] if isinstance(content, list) else content


def text(head: str, sections: dict[str, Any]) -> str:
    """head: the lines above, without their `#`. The sections are set apart by empty lines."""
    parts = ["\n".join(f"# {line}".rstrip() for line in head.splitlines())]
    parts[0] += f"\nformat: {sections['format']}"
    parts += ["\n".join(_block(name, value, "")) for name, value in sections.items() if name != "format"]
    return "\n\n".join(parts) + "\n"


def _block(key: str, content: Any, indent: str) -> list[str]:
    """A key on one line with its reason; what holds reasons itself, a line for each thing in it."""
    value, why = content if isinstance(content, Said) else (content, "")
    start = f"{indent}{_line(key)}:"  # put together here: of a long key YAML would make a line of its own
    if not _has_reasons(value):
        return [_with(f"{start} {_line(plain(value))}", why)]
    inside = indent + "  "
    lines = [_with(start, why)]
    if isinstance(value, dict):
        return lines + [line for name, part in value.items() for line in _block(name, part, inside)]
    for part in value:
        item, reason = part if isinstance(part, Said) else (part, "")
        lines.append(_with(f"{inside}- {_line(plain(item))}", reason))
    return lines


def _has_reasons(value: Any) -> bool:
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return any(isinstance(part, Said) or _has_reasons(part) for part in parts)


def _line(content: Any) -> str:
    """On one line. Only the look of single words is YAML's own: of everything else there is one way to write it."""
    if isinstance(content, dict):
        return "{" + ", ".join(f"{_line(key)}: {_line(value)}" for key, value in content.items()) + "}"
    if isinstance(content, list):
        return "[" + ", ".join(map(_line, content)) + "]"
    return word(content) if isinstance(content, str) else json.dumps(content)


def word(content: str) -> str:
    """In quotes where it needs them."""
    return content if WORDS.fullmatch(content) and _reads_as_itself(content) else f'"{_escaped(content)}"'


@functools.cache  # names come again in every rule
def _reads_as_itself(text: str) -> bool:
    return bool(YAML(typ="safe", pure=True).load(io.StringIO(f"[{text}]")) == [text])


def _escaped(text: str) -> str:
    """As it stands between double quotes: what cannot be seen by its number."""
    return "".join(
        f"\\{c}" if c in '"\\' else "\\t" if c == "\t" else c if c.isprintable() else f"\\U{ord(c):08x}" for c in text
    )


def _with(line: str, why: str) -> str:
    """A reason is one line, whatever names and values are told in it."""
    return f"{line}  # {''.join(c if c.isprintable() else ' ' for c in why)}" if why else line
