#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Compares web/openapi.json with the routes that the daemon prints, and checks that it hangs together.

Usage: check_openapi.py BUILD_DIR. Exit status 1 and one line per difference.
"""

import json
import os
import re
import subprocess
import sys

METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def unique_keys(pairs):
    keys = [key for key, _ in pairs]
    for key in keys:
        if keys.count(key) > 1:
            raise ValueError(f"member {key!r} is there twice")
    return dict(pairs)


def load_document(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file, object_pairs_hook=unique_keys)


def described_routes(build_dir):
    """(method, path) -> row of the daemon's own table for clients, paths in OpenAPI's spelling."""
    out = subprocess.run([os.path.join(build_dir, "roomd"), "--describe", "routes"],
                         check=True, stdout=subprocess.PIPE, timeout=30).stdout
    return {(row["method"].lower(), row["path"].replace("...}", "}")): row
            for row in json.loads(out) if row["auth"] != "ops"}


def documented(doc):
    """(method, path) -> operation; paths that only point to another have that one's."""
    return {(method, path): operation
            for path, item in doc["paths"].items()
            for method, operation in (resolve(doc, item["$ref"]) if "$ref" in item else item).items()
            if method in METHODS}


def resolve(doc, ref):
    """What a local reference points to, or None."""
    if not ref.startswith("#/"):
        return None
    node = doc
    for part in ref[2:].split("/"):
        node = node.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(node, dict) else None
    return node


def references(node):
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from references(child)


def compare(routes, operations):
    for method, path in sorted(routes.keys() - operations.keys()):
        yield f"{method.upper()} {path}: in routes.def, not in openapi.json"
    for method, path in sorted(operations.keys() - routes.keys()):
        yield f"{method.upper()} {path}: in openapi.json, not in routes.def"
    for key in sorted(routes.keys() & operations.keys()):
        name = f"{key[0].upper()} {key[1]}"
        if routes[key]["summary"] != operations[key].get("summary"):
            yield f"{name}: the summaries differ"
        has_body = "requestBody" in operations[key]
        if (routes[key]["body"] != "none") != has_body:
            yield f"{name}: routes.def says body {routes[key]['body']}"
        yield from compare_row(routes[key], operations[key], name)


def refusals(row):
    """The statuses that the dispatch gives before the handler, by the row of its route."""
    statuses = {"405", "default"}
    is_unsafe = row["method"] != "GET"
    if row["rate"] not in ("static", "session"):
        statuses.add("429")
    if row["auth"] != "open" or row["rate"] == "upgrade":
        statuses.add("401")
    if row["auth"] == "admin" or is_unsafe:
        statuses.add("403")
    if is_unsafe:
        statuses.add("413")
    if row["body"] in ("json", "form"):
        statuses |= {"411", "415"}
    if row["body"] == "json":
        statuses.add("422")
    return statuses


def credentials(row):
    """Which of them an operation wants or takes: the names of security schemes, "" for none."""
    if row["rate"] == "static":
        return None
    names = {"bearer", "cookie"}
    if row["auth"] not in ("token", "admin"):
        names.add("")
    if row["rate"] in ("upgrade", "session"):
        names.add("query")
    return names


def compare_row(row, operation, name):
    missing = refusals(row) - operation.get("responses", {}).keys()
    if missing:
        yield f"{name}: the dispatch answers {sorted(missing)} as well"
    if row["rate"] == "static" and "429" in operation.get("responses", {}):
        yield f"{name}: no limit counts it"
    security = operation.get("security")
    told = None if security is None else {next(iter(one), "") for one in security}
    if told != credentials(row):
        yield f"{name}: security says {told}, routes.def {credentials(row)}"


def check_operation(doc, method, path, operation):
    name = f"{method.upper()} {path}"
    parameters = [resolve(doc, p["$ref"]) if "$ref" in p else p
                  for p in operation.get("parameters", [])]
    in_path = sorted(p["name"] for p in parameters if p and p["in"] == "path")
    if in_path != sorted(re.findall(r"{([^}]*)}", path)):
        yield f"{name}: the path's names and its parameters differ"
    if not operation.get("responses"):
        yield f"{name}: no responses"
    for status, response in operation.get("responses", {}).items():
        response = resolve(doc, response["$ref"]) if "$ref" in response else response
        if not response or not response.get("description"):
            yield f"{name}: response {status} has no description"


def check_document(doc):
    if not re.fullmatch(r"3\.1\.\d+", doc.get("openapi", "")):
        yield "openapi: not version 3.1"
    for ref in sorted(set(references(doc))):
        if resolve(doc, ref) is None:
            yield f"{ref}: points nowhere"
    used = set(references(doc))
    for group, members in doc["components"].items():
        for name in members if group != "securitySchemes" else ():
            if f"#/components/{group}/{name}" not in used:
                yield f"components/{group}/{name}: used by nobody"
    operations = {(method, path): operation for (method, path), operation in documented(doc).items()
                  if "$ref" not in doc["paths"][path]}
    ids = [operation.get("operationId") for operation in operations.values()]
    for name in sorted({str(i) for i in ids if i is None or ids.count(i) > 1}):
        yield f"operationId {name}: missing or not unique"
    for (method, path), operation in operations.items():
        yield from check_operation(doc, method, path, operation)


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: check_openapi.py BUILD_DIR")
    try:
        doc = load_document(os.path.join(ROOT, "web", "openapi.json"))
    except ValueError as error:
        sys.exit(f"web/openapi.json: {error}")
    faults = list(check_document(doc))
    faults += compare(described_routes(sys.argv[1]), documented(doc))
    for fault in faults:
        print(fault)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
