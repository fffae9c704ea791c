"""The JSON Schema of ``[tool.nixpy]``; ``python -m nixpy.options_schema`` writes its file."""

from __future__ import annotations

import json
import os

from nixpy.option_keys import (
    CUDA_VERSION,
    EXTRA_NAME,
    OPTION_KEYS,
    VARIABLE_NAME,
    VARIABLE_VALUE,
    OptionKey,
)

__all__ = ["SCHEMA_PATH", "json_schema", "schema_text"]

SCHEMA_PATH = os.path.join(os.path.dirname(__file__), "options.schema.json")


def json_schema() -> dict[str, object]:
    """Return the schema (JSON Schema 2020-12) of the table that the options' files hold."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "nixpy",
        "description": "Options of nixpy: [tool.nixpy] in pyproject.toml, or nixpy.toml.",
        "type": "object",
        "properties": {key.name: _property(key) for key in OPTION_KEYS},
        "additionalProperties": False,
    }


def schema_text() -> str:
    """Return the content of the schema's file."""
    return json.dumps(json_schema(), indent=2) + "\n"


def _property(key: OptionKey) -> dict[str, object]:
    described: dict[str, object] = {"description": key.help, **_shape(key)}
    if key.default is not None:
        described["default"] = {} if key.kind == "variables" else key.default
    return described


def _shape(key: OptionKey) -> dict[str, object]:
    if key.kind == "choice":
        return {"type": "string", "enum": list(key.choices)}
    if key.kind == "boolean":
        return {"type": "boolean"}
    if key.kind == "texts":
        item: dict[str, object] = {"type": "string", "pattern": key.pattern}
        several: dict[str, object] = {"type": "array", "items": item}
        return {"anyOf": [item, several]} if key.or_one else several
    if key.kind == "choice or extras":
        extras = {"type": "array", "items": {"type": "string", "pattern": EXTRA_NAME}}
        return {
            "anyOf": [
                {"type": "string", "enum": list(key.choices)},
                {
                    "type": "object",
                    "propertyNames": {"pattern": CUDA_VERSION},
                    "additionalProperties": extras,
                },
            ]
        }
    if key.kind == "variables":
        return {
            "type": "object",
            "propertyNames": {"pattern": VARIABLE_NAME},
            "additionalProperties": {"type": "string", "pattern": VARIABLE_VALUE},
        }
    text: dict[str, object] = {"type": "string", "pattern": key.pattern}
    return {"anyOf": [text, {"const": False}]} if key.kind == "text or false" else text


def _write() -> None:
    with open(SCHEMA_PATH, "w", encoding="utf-8") as file:
        file.write(schema_text())


if __name__ == "__main__":
    _write()
