"""For tests: what Python's jsonschema says. Reads lines of {"schema": …, "texts": […]}, writes lines of lists."""

import json
import re
import sys
from datetime import datetime

from jsonschema import FormatChecker, validators
from jsonschema.exceptions import SchemaError

RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt]([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)")


def is_date_time(value):
    found = not isinstance(value, str) or RFC3339.fullmatch(value)
    if isinstance(value, str) and found:
        datetime.strptime(found[1], "%Y-%m-%d")
    return bool(found)


# Debian's has no package that would judge it, and takes every text for one.
if "date-time" not in FormatChecker.checkers:
    FormatChecker.cls_checks("date-time", raises=ValueError)(is_date_time)

for line in sys.stdin:
    case = json.loads(line)
    schema = json.loads(case["schema"])
    kind = validators.validator_for(schema, default=validators.Draft202012Validator)
    try:
        kind.check_schema(schema)
    except SchemaError as error:
        print(json.dumps({"bad": error.message}), flush=True)
        continue
    validator = kind(schema, format_checker=FormatChecker())
    answers = []
    for text in case["texts"]:
        try:
            answers.append(validator.is_valid(json.loads(text)))
        except Exception as error:  # what the reference cannot judge
            answers.append(f"{type(error).__name__}: {error}"[:200])
    print(json.dumps(answers), flush=True)
