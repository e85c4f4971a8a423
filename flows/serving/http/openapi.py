"""The OpenAPI description of the addresses that answer rows, with each model's real columns."""

from collections.abc import Mapping
from typing import Any

from flows.serving.engine.live import Live
from flows.serving.http.limits import Limits

Schema = dict[str, Any]
PROBLEMS = {
    "400": "What does not fit: broken JSON, or a row, with its number, column, value and repair",
    "401": "A token is needed, where the server listens beyond its machine",
    "403": "A page of another site, or a name that is not this server's",
    "404": "No such model",
    "408": "The request did not arrive in time",
    "409": "The version has no explanations",
    "413": "Too many bytes or rows",
    "415": "Another content type, encoding or charset",
    "422": "The model has no finite answer to a row",
    "503": "No version of the model answers now",
}
PROBLEM: Schema = {
    "type": "object",
    "description": "Problem details, as RFC 9457 says",
    "properties": {
        **{name: {"type": "string"} for name in ("type", "title", "detail", "column", "value", "repair")},
        "status": {"type": "integer"},
        "row": {"type": "integer", "minimum": 1, "description": "of the request, the first is 1"},
    },
    "required": ["type", "title", "status", "detail"],
}
VERSION: Schema = {"model": {"type": "string"}, "version": {"type": "integer"}, "model_hash": {"type": "string"}}
LOGGED: Schema = {"type": "boolean", "description": "whether the rows are kept in the log"}
MADE: Schema = {
    "method": {"enum": ["shapley"]},
    "exact": {"type": "boolean", "description": "whether every coalition of columns was asked"},
    "orders": {"type": ["integer", "null"], "description": "of columns that were drawn, where it is not exact"},
    "seed": {"type": "integer"},
    "background": {"type": "integer", "description": "rows of the training split that the base is the mean of"},
    "logged": {"const": False, "description": "an explained row is no answered row"},
}
ID: Schema = {"type": "string", "description": "of this answered row; later ids are greater"}


ANSWERING = {code: words for code, words in PROBLEMS.items() if code != "409"}


def responses(codes: Mapping[str, str] = PROBLEMS) -> dict[int | str, Schema]:
    """The problems that an operation answers with."""
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {code: {"description": words, "content": content} for code, words in codes.items()}


def paths(live: Live, limits: Limits) -> Schema:
    """The addresses of a model that has a version, for its rows."""
    columns: Mapping[str, Any] = live.version.columns if live.version else {}
    row, example = row_schema(columns), columns.get("example")
    many = {"type": "array", "items": row, "minItems": 1, "maxItems": limits.rows}
    said = _answer(columns)
    single = _object(**VERSION, id=ID, logged=LOGGED, **said)
    several = _object(**VERSION, logged=LOGGED, answers={"type": "array", "items": _object(id=ID, **said)})
    predictions = {"type": "array", "items": {"type": "object", "required": ["prediction"]}}
    mlflow = _object(**VERSION, logged=LOGGED, ids={"type": "array", "items": ID}, predictions=predictions)
    records = {"type": "object", "properties": {"dataframe_records": many}, "required": ["dataframe_records"]}
    why = _explanation(columns, said)
    few = {"type": "array", "items": row, "minItems": 1, "maxItems": limits.explained}
    one, some = _object(**VERSION, **why, **MADE), {"type": "array", "items": _object(**why)}
    return {
        f"/models/{live.name}/explain": _post(
            f"{live.name}: explain the answers to rows: what each column adds, and what would change the answer",
            {"application/json": {"schema": {"oneOf": [row, few]}} | _example(example)},
            {"oneOf": [one, _object(**VERSION, explanations=some, **MADE)]},
            PROBLEMS,
        ),
        f"/models/{live.name}/predict": _post(
            f"{live.name}: predict rows as they stand in the source file",
            {"application/json": {"schema": {"oneOf": [row, many]}} | _example(example)},
            {"oneOf": [single, several]},
        ),
        f"/models/{live.name}/invocations": _post(
            f"{live.name}: predict rows by MLflow's protocol",
            {
                "application/json": {"schema": records} | _example({"dataframe_records": [example]}),
                "text/csv": {"schema": {"type": "string"}},
            },
            mlflow,
        ),
    }


def row_schema(columns: Mapping[str, Any]) -> Schema:
    """What `predict` takes for one answer. columns: the content of columns.json."""
    if columns.get("kind") == "image":
        shape = " x ".join(map(str, columns.get("shape") or []))
        picture = {
            "description": f"PNG or JPEG in base64, or numbers in nested lists; {shape}",
            "oneOf": [{"type": "string"}, {"type": "array"}],
        }
        return {"type": "object", "properties": {"image": picture}, "required": ["image"]}
    listed = columns.get("columns", [])
    made = columns.get("instants", {})
    row: Schema = {"type": "object", "properties": {column["name"]: _cell(column) for column in listed}}
    if columns.get("kind") != "sequence":
        return row | {"required": [column["name"] for column in listed if column["name"] not in made]}
    words = "the last rows of one series, oldest first, the target where it is known"
    rows = {"type": "array", "items": row, "minItems": 1, "description": words}
    return {"type": "object", "properties": {"rows": rows}, "required": ["rows"]}


def _cell(column: Mapping[str, Any]) -> Schema:
    """A value, as text or as itself. The range and the words are those of training, and no limits."""
    missing = "" if not column.get("missing") else "; may be missing"
    if column["role"] == "number":
        least, most = column.get("least"), column.get("most")
        seen = f": {least:g} to {most:g} in training" if least is not None and most is not None else ""
        return {"type": ["number", "string", "null"], "description": f"a number{seen}{missing}"}
    if column["role"] == "date":
        return {"type": ["string", "null"], "description": f"an instant{missing}"}
    words = column.get("words") or []
    cell: Schema = {"type": ["string", "number", "boolean", "null"], "description": f"a word{missing}"}
    return cell | ({"examples": words} if words else {})


def _answer(columns: Mapping[str, Any]) -> Schema:
    classes = columns.get("classes") or []
    probabilities = {str(name): {"type": "number", "minimum": 0, "maximum": 1} for name in classes}
    return {
        "prediction": {"enum": classes} if classes else {"type": ["number", "null"]},
        "probabilities": _object(**probabilities),
        "unknown": {"type": "array", "items": {"type": "string"}, "description": "columns with a word never seen"},
    }


def _explanation(columns: Mapping[str, Any], said: Schema) -> Schema:
    """What is said of one row. said: the properties of an answer."""
    classes = columns.get("classes") or []
    added = "what each column adds to the base; of a picture each patch. With the base they add up to the answer"
    change = {"column": {"type": "string"}, "before": {}, "after": {}}
    turned = {"changes": {"type": "array", "items": _object(**change)}, "prediction": said["prediction"]}
    return {
        **said,
        "output": {"enum": classes} if classes else {"type": "null"},
        "answer": {"type": "number", "description": "the probability of the class, or the number"},
        "base": {"type": "number", "description": "the mean answer to the background rows"},
        "contributions": {"type": "object", "additionalProperties": {"type": "number"}, "description": added},
        "error": {"type": "number", "description": "by how much the sum misses the answer"},
        "counterfactual": {"oneOf": [_object(**turned), {"type": "null"}]},
        "why": {"type": "string", "description": "why there is no counterfactual"},
    }


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _example(content: Any) -> Schema:
    return {"example": content} if content else {}


def _post(summary: str, content: Schema, answer: Schema, problems: Mapping[str, str] = ANSWERING) -> Schema:
    done = {"200": {"description": "The answers", "content": {"application/json": {"schema": answer}}}}
    operation = {"summary": summary, "requestBody": {"required": True, "content": content}}
    return {"post": operation | {"responses": done | responses(problems)}}
