"""What people read on the Prefect page of a run: the decision, the metrics, a link to MLflow."""

from typing import Any

from prefect.artifacts import create_link_artifact, create_table_artifact

from flows import servers
from flows.environment import Project


def show(project: Project, model: str, made: Any, published: Any, answer: dict[str, Any]) -> None:
    """Artifacts keep a history under their key, so a key belongs to one model."""
    key = model.replace("_", "-")
    looks = [
        {
            "looked at": look["what"],
            "verdict": look["verdict"],
            "gain": _interval(look),
            "rows": look["rows"],
            "what was found": look["said"],
        }
        for look in answer["looks"]
    ]
    create_table_artifact(looks, key=f"{key}-gate", description=f"{model}: {answer['decision']}: {answer['reason']}")
    rows = [
        {"what": "decision", "value": answer["decision"]},
        {"what": "reason", "value": answer["reason"]},
        {"what": "version", "value": published.version},
        {"what": "champion", "value": answer["champion"]},
        *({"what": f"test {name}", "value": value} for name, value in made.metrics.items()),
        *({"what": f"{name} rows", "value": split["rows"]} for name, split in made.splits.items()),
    ]
    create_table_artifact(rows, key=f"{key}-decision", description=f"{model}: {answer['decision']}")
    page = f"{servers.address(project, 'mlflow')}/#/experiments/{published.experiment_id}/runs/{published.run_id}"
    create_link_artifact(page, link_text=f"{model} in MLflow", key=f"{key}-mlflow")


def _interval(look: dict[str, Any]) -> str:
    """The gain and its interval, or "" where no rows were compared."""
    return "" if look["gain"] is None else f"{look['gain']:+.4f} [{look['low']:+.4f}, {look['high']:+.4f}]"
