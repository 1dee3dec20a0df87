"""Put what pyproject.toml lists as `shipped` into a wheel. An editable install reads it where it lies."""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Shipped(BuildHookInterface[Any]):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "standard":
            for name in self.config["shipped"]:
                build_data["force_include"][name] = f"convlab/base/shipped_files/{name}"
