"""Two things that take nbgrader long: the check of a cell's metadata, and the version of a new gradebook's tables."""

import functools
import json

from jsonschema.exceptions import best_match
from jsonschema.validators import validator_for
from nbgrader import api, dbutil
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


def newest_version():
    """The version of nbgrader's tables; its own function starts the program alembic for it, three seconds each time."""
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", dbutil.ALEMBIC_DIR.replace("%", "%%"))
    return ScriptDirectory.from_config(config).get_current_head()


def install():
    """Lets nbgrader look at its schema once, and at its tables' version in this process."""
    common.jsonschema = Validators
    api.get_alembic_version = newest_version
