"""The public API as its OpenAPI document says it: schemathesis asks, the product must answer as described."""

from pathlib import Path
from typing import Any

import pytest
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.fixtures.openapi import asked
from tests.fixtures.outside import Outside

DOCUMENT = Path(__file__).parents[2] / "docs" / "reference" / "public-api.yaml"
schema: Any = schemathesis.openapi.from_path(str(DOCUMENT))


@schema.parametrize()
@asked(25)
@pytest.mark.filterwarnings("ignore")
def test_answers_are_as_described(case: Any, outside: Outside) -> None:
    answer = case.call(base_url=outside.base_url, headers=outside.bearer)

    case.validate_response(
        answer,
        checks=[
            not_a_server_error,
            status_code_conformance,
            content_type_conformance,
            response_schema_conformance,
        ],
    )
