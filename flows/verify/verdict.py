"""The certificate of a verification, as a page that people read: in the terminal, in MLflow and in Prefect."""

from typing import Any

from flows.report import pages


def page(found: dict[str, Any]) -> str:
    """Markdown of a certificate (docs/reference/answers.md)."""
    rows = [_row(output) for output in found["outputs"]]
    return pages.render("certificate.md.j2", **found, sentence=sentence(found), rows=rows)


def _row(output: dict[str, Any]) -> dict[str, str]:
    old, new = output["recorded"], output["rebuilt"]
    told = {"stage": output["stage"], "output": output["path"], "recorded": old[:12], "rebuilt": new[:12] or "none"}
    return told | {"": "equal" if old == new else "differs"}


def sentence(found: dict[str, Any]) -> str:
    """What came of it, and why, in one sentence or two."""
    if found["verdict"] == "identical":
        return f"All {len(found['outputs'])} outputs of all stages were made again, byte for byte."
    if since := found.get("since"):  # an older certificate lacks it
        return f"Its data lost rows of a person on {since[:10]} (`ratchet forget`), so nobody can make it again."
    first = found["first"]
    where = f"The first difference is in the stage {first['stage']}, in {first['path']}."
    why = [f"{kind} ({'; '.join(words[:3])})" for kind, words in found["causes"].items()]
    cause = (
        f"What is not as it was recorded: {', '.join(why)}."
        if why
        else (
            "Code, data, packages and hardware are as they were recorded: something in that stage is not deterministic."
        )
    )
    return " ".join(filter(None, [where, found["failure"], cause]))
