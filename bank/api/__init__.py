"""The JSON API, version 1: the same use cases as the pages, for programs that a person gave a token.

`operations` reads and answers, `guard` lets in, `problems` tells errors, `document` writes OpenAPI from all of it, and
`wiring` joins it to the application; a module for each resource holds its views.
"""

from typing import Final

from flask import Blueprint

PREFIX: Final = "/api/v1"

api: Final = Blueprint("api", __name__, url_prefix=PREFIX, template_folder="templates")

from bank.api import (  # noqa: E402  (they register their views)
    accounts,  # noqa: F401
    batches,  # noqa: F401
    branch,  # noqa: F401
    counter,  # noqa: F401
    entries,  # noqa: F401
    holds,  # noqa: F401
    statements,  # noqa: F401
    transfers,  # noqa: F401
    viewer,  # noqa: F401
)
