"""nbgrader's check of a cell's metadata, without checking nbgrader's own schema anew for every cell."""

import functools
import json

from jsonschema.exceptions import best_match
from jsonschema.validators import validator_for
from nbgrader.nbgraderformat import common


@functools.cache
def validator(schema):
    """The validator of a schema, given as JSON; jsonschema.validate makes one a call, a quarter of grading's time."""
    schema = json.loads(schema)
    found = validator_for(schema)
    found.check_schema(schema)
    return found(schema)


class Validators:
    """What nbgrader uses of the package jsonschema."""

    @staticmethod
    def validate(instance, schema):
        error = best_match(validator(json.dumps(schema)).iter_errors(instance))
        if error is not None:
            raise error


def install():
    """Lets nbgrader look at its schema once."""
    common.jsonschema = Validators
