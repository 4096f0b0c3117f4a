"""The model as JSON Schema, for editors. Committed as `config/schema.json`; a test holds the two together."""

import json
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from gateway.settings.model import Settings


class _NoNull(GenerateJsonSchema):
    """A key without a value is a fault, so no editor should offer null."""

    def nullable_schema(self, schema: Any) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: Any) -> JsonSchemaValue:
        inner = super().default_schema(schema)
        if inner.get("default", 0) is None:
            del inner["default"]
        return inner


def schema_text() -> str:
    """The JSON Schema (draft 2020-12) as the file holds it."""
    schema = Settings.model_json_schema(schema_generator=_NoNull)
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Gateway configuration"}
    return json.dumps(head | {k: v for k, v in schema.items() if k != "title"}, indent=2, ensure_ascii=False) + "\n"
