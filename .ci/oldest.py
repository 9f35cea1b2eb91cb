"""Prints the oldest version of each dependency that `pyproject.toml` allows, as requirements for pip."""

import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).resolve().parents[1] / "pyproject.toml").read_text("utf-8"))["project"]
extras = project["optional-dependencies"]
for requirement in project["dependencies"] + extras["examples"] + extras["scan"] + extras["viz"] + extras["test"]:
    if not requirement.startswith(project["name"]):
        print(requirement.replace(">=", "=="))
print("pyparsing<3.3")  # whose warnings of old names matplotlib 3.8 would be stopped by
