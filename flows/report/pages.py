"""Pages: the Markdown and HTML that people read, made of the templates in flows/report/templates/.

What a template puts in is escaped as its kind of page needs it, unless it is marked as safe: so none can forget it.
"""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pipelines import visible_text
from pipelines.safety import markdown

if TYPE_CHECKING:
    from jinja2 import Environment


def render(template: str, **values: Any) -> str:
    """template: the name of a file, which ends in .md.j2 or .html.j2."""
    return _environment().get_template(template).render(values)


@functools.cache
def _environment() -> "Environment":
    import jinja2
    from markupsafe import Markup

    def safe(write: Callable[..., str]) -> Callable[..., Markup]:
        return lambda *values: Markup(write(*values))  # noqa: S704  # `write` has escaped it

    @jinja2.pass_eval_context
    def escaped(context: Any, value: Any) -> Any:
        """HTML is then escaped by jinja's own autoescape, which would make entities of Markdown."""
        if isinstance(value, Markup):
            return value
        return visible_text.line(str(value)) if context.autoescape else markdown.plain(str(value))

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("flows.report"),
        autoescape=jinja2.select_autoescape(["html.j2"]),
        finalize=escaped,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    for write in (markdown.told, markdown.code, markdown.table, visible_text.line):
        environment.filters[write.__name__] = safe(write)
    return environment
