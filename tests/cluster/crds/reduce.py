"""Reduce CustomResourceDefinitions to what the manifests are checked against.

    python tests/cluster/crds/reduce.py FILE.yaml ... > tests/cluster/crds/schemas.json

The files are KubeRay's helm-chart/kuberay-operator/crds/ray.io_*.yaml (v1.7.0) and the Prometheus
operator's example/prometheus-operator-crd/*.yaml (v0.93.0), both Apache-2.0. What is left out is
prose, status and rules in CEL; equal parts, such as the many pod templates, are kept once.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

Schema = dict[str, Any]
KEPT = (
    *("type", "enum", "required", "pattern", "format", "minimum", "maximum"),
    *("minLength", "maxLength", "minItems", "maxItems", "nullable"),
)
# As long as a reference to it.
SHORT = 80


def reduced(schema: Schema) -> Schema:
    """Return JSON Schema for a structural schema; unknown fields, which are pruned, are refused."""
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    found: Schema = {key: schema[key] for key in KEPT if key in schema}
    if "items" in schema:
        found["items"] = reduced(schema["items"])
    if "properties" in schema:
        found["properties"] = {name: reduced(part) for name, part in schema["properties"].items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            found["additionalProperties"] = False
    elif isinstance(schema.get("additionalProperties"), dict):
        found["additionalProperties"] = reduced(schema["additionalProperties"])
    return found


def parts(schema: Schema) -> Iterator[Schema]:
    """Yield a schema and all schemas in it."""
    yield schema
    inner = [schema.get("items"), schema.get("additionalProperties")]
    for part in [*schema.get("properties", {}).values(), *inner]:
        if isinstance(part, dict):
            yield from parts(part)


def text(schema: Schema) -> str:
    return json.dumps(schema, sort_keys=True)


def shared(schema: Schema, seen: Counter[str], definitions: dict[str, Schema]) -> Schema:
    """Return a schema whose repeated parts are references into `definitions`."""
    found = dict(schema)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            found[key] = shared(schema[key], seen, definitions)
    if "properties" in schema:
        found["properties"] = {
            name: shared(part, seen, definitions) for name, part in schema["properties"].items()
        }
    whole = text(schema)
    if seen[whole] < 2 or len(whole) < SHORT:
        return found
    name = hashlib.sha256(whole.encode()).hexdigest()[:8]
    definitions[name] = found
    return {"$ref": f"#/$defs/{name}"}


def main(files: list[str]) -> None:
    kinds: dict[str, Schema] = {}
    for file in files:
        definition = yaml.load(Path(file).read_text(), yaml.CSafeLoader)["spec"]
        (version,) = (v for v in definition["versions"] if v["storage"])
        schema = version["schema"]["openAPIV3Schema"]
        schema["properties"].pop("status", None)
        name = f"{definition['group']}/{version['name']} {definition['names']['kind']}"
        kinds[name] = reduced(schema)
    seen = Counter(text(part) for schema in kinds.values() for part in parts(schema))
    definitions: dict[str, Schema] = {}
    kinds = {name: shared(schema, seen, definitions) for name, schema in kinds.items()}
    json.dump({"kinds": kinds, "$defs": definitions}, sys.stdout, indent=1, sort_keys=True)
    print()


if __name__ == "__main__":
    main(sys.argv[1:])
