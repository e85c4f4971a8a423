"""YAML in which values have their reasons beside them."""

import io
import json
import re
import sys
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

# That need no quotes, unless they mean something: null, true. Left to itself ruamel writes others that it cannot read:
# `{a: ?b}`, and line ends such as U+0085 as they are.
WORDS = re.compile(r"[^\W\d]\w*([ ./()+-]+\w+)*/?")


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
    tree = _commented(sections)
    tree.fa.set_block_style()
    for name in [*sections][1:]:
        tree.yaml_set_comment_before_after_key(name, before="\n")
    yaml = YAML()
    yaml.width = sys.maxsize
    seen = json.dumps(plain(sections), ensure_ascii=False).isprintable()
    yaml.allow_unicode = seen  # where something cannot be seen, all but ASCII is written by its number
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.representer.ignore_aliases = lambda *_: True
    yaml.dump(tree, stream := io.StringIO())
    return "".join(f"# {line}".rstrip() + "\n" for line in head.splitlines()) + stream.getvalue()


def _commented(content: Any) -> Any:
    """For ruamel: what holds reasons has a line for each thing in it, everything else is on one line if it may be."""
    if isinstance(content, str):
        return content if WORDS.fullmatch(content) else DoubleQuotedScalarString(content)
    if not isinstance(content, dict | list):
        return content
    named = content if isinstance(content, dict) else dict(enumerate(content))
    parts = {key: part if isinstance(part, Said) else Said(part, "") for key, part in named.items()}
    values = {_commented(key): _commented(part.value) for key, part in parts.items()}
    found = CommentedMap(values) if isinstance(content, dict) else CommentedSeq(values.values())
    for key, part in parts.items():
        if part.why:  # one line, whatever names and values are told in it
            found.yaml_add_eol_comment("".join(c if c.isprintable() else " " for c in part.why), key, column=0)
    if not _has_reasons(content) and _survives(content):
        found.fa.set_flow_style()
    return found


def _survives(content: Any) -> bool:
    """Whether DVC, which writes a file anew with `dvc exp run -S`, can read this content on one line afterwards.

    It writes without our quotes, and reads by the older YAML 1.1: `{source: builtin:digits}` is none there.
    """
    if isinstance(content, dict):
        return all(_survives(part) for part in (*content, *content.values()))
    if isinstance(content, list):
        return all(_survives(part) for part in content)
    return not isinstance(content, str) or not {":", "?"} & set(content)


def _has_reasons(value: Any) -> bool:
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return any(isinstance(part, Said) or _has_reasons(part) for part in parts)
