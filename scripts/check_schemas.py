"""Check pyproject.toml and the workflows of GitHub against their published schemas.

All schemas come with installed packages: nothing is downloaded.
"""

import subprocess
import sys
import tomllib
from pathlib import Path

from validate_pyproject.api import Validator
from validate_pyproject.errors import ValidationError
from validate_pyproject.plugins import list_from_entry_points

ROOT = Path(__file__).resolve().parent.parent

TOOLS = {"cibuildwheel", "setuptools"}
"""Tables of pyproject.toml whose schemas have to be there."""


def pyproject_is_valid() -> bool:
    """Check pyproject.toml, and that the schemas of its tools were really used."""
    plugins = list_from_entry_points()
    missing = TOOLS - {plugin.tool for plugin in plugins}
    if missing:
        print(f"no schema is installed for [tool.{', '.join(sorted(missing))}]")
        return False
    try:
        Validator(plugins)(tomllib.loads((ROOT / "pyproject.toml").read_text()))
    except ValidationError as error:
        print(f"pyproject.toml: {error}")
        return False
    print("pyproject.toml is valid")
    return True


def workflows_are_valid() -> bool:
    """Check every workflow."""
    check = Path(sys.executable).with_name("check-jsonschema")
    workflows = sorted((ROOT / ".github/workflows").glob("*.yml"))
    schema = ("--builtin-schema", "vendor.github-workflows")
    return not subprocess.run([check, *schema, *workflows], check=False).returncode


if __name__ == "__main__":
    sys.exit(not all([pyproject_is_valid(), workflows_are_valid()]))
