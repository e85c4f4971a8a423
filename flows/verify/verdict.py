"""The certificate of a verification, as a page that people read: in the terminal, in MLflow and in Prefect."""

from typing import Any

from pipelines.safety import markdown


def page(found: dict[str, Any]) -> str:
    """Markdown of a certificate (docs/reference/answers.md)."""
    rows = [_row(output) for output in found["outputs"]]
    return "\n".join(
        [
            f"# {found['model']} version {found['version']}: {found['verdict']}",
            "",
            markdown.told(sentence(found)),
            "",
            f"- verified {found['at']}, in {found['seconds']:.0f} s",
            f"- model {found['model_hash']}",
            f"- rebuilt {found['rebuilt_model_hash'] or 'nothing'}",
            f"- from commit {found['commit']}" + (" (a tree that differed from its branch)" if found["dirty"] else ""),
            *(f"- {kind} differs: {markdown.told('; '.join(words[:8]))}" for kind, words in found["causes"].items()),
            *(f"- {name.replace('_', ' ')}: {value:.3g}" for name, value in found["differences"].items()),
            "",
            markdown.table(rows),
            "",
        ]
    )


def _row(output: dict[str, Any]) -> dict[str, str]:
    old, new = output["recorded"], output["rebuilt"]
    told = {"stage": output["stage"], "output": output["path"], "recorded": old[:12], "rebuilt": new[:12] or "none"}
    return told | {"": "equal" if old == new else "differs"}


def sentence(found: dict[str, Any]) -> str:
    """What came of it, and why, in one sentence or two."""
    if found["verdict"] == "identical":
        return f"All {len(found['outputs'])} outputs of all stages were made again, byte for byte."
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
