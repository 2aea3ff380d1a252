"""The schemas in the repository are those of the Structs, and the examples fit them."""

from pathlib import Path

import jsonschema
import msgspec
import pytest

from shared.contracts import actions, export

EXAMPLES = sorted(Path(export.__file__).with_name("examples").glob("*.json"))


def validator(name: str) -> jsonschema.Draft202012Validator:
    schema = msgspec.json.decode((export.FOLDER / f"{name}.json").read_bytes())
    return jsonschema.Draft202012Validator(schema)


def test_the_schemas_are_those_of_the_structs() -> None:
    written = {path.name: path.read_bytes() for path in export.FOLDER.glob("*.json")}
    assert written == export.schemas(), "run `python -m shared.contracts.export`"


@pytest.mark.parametrize("path", sorted(export.FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_each_schema_is_valid_json_schema(path: Path) -> None:
    jsonschema.Draft202012Validator.check_schema(msgspec.json.decode(path.read_bytes()))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_each_example_fits_the_schemas(path: Path) -> None:
    example = msgspec.json.decode(path.read_bytes())
    sent, value = example["sent"], example["arrives"]["value"]
    data = validator(f"data.{sent['action']}")
    validator("envelope").validate(sent)
    validator("logged").validate(value)
    for members in (sent.get("data", {}), value["data"]):
        data.validate({name: member for name, member in members.items() if member is not None})


def test_every_built_action_has_an_example() -> None:
    shown = {msgspec.json.decode(path.read_bytes())["sent"]["action"] for path in EXAMPLES}
    assert shown == set(actions.BUILT)
