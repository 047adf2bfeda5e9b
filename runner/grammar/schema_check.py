"""For tests: what Python's jsonschema says. Reads lines of {"schema": …, "texts": […]}, writes lines of lists."""

import json
import sys

from jsonschema import FormatChecker, validators
from jsonschema.exceptions import SchemaError

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
