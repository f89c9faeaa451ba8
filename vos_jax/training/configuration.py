"""From a config file and command-line overrides to settings, every key checked."""

import dataclasses
import importlib.util
import inspect
import sys
import types
from collections.abc import Mapping, Sequence
from pathlib import Path

from absl import flags
from ml_collections import ConfigDict, config_flags

from vos_jax.core.errors import ConfigError, MissingInputError
from vos_jax.systems import registry
from vos_jax.training.settings import Settings, from_mapping
from vos_jax.training.sources import source_defaults


def load_settings(path: str | Path, overrides: Sequence[str] = ()) -> Settings:
    """The settings of a config file after the overrides.

    Args:
        path: a Python file with `get_config() -> ConfigDict`; it may import its neighbours. A
            colon and a word after it are the argument of `get_config`, as in "aot_pre.py:aott".
        overrides: arguments of the form `--config.key=value`; the value must be of the type
            the key has.

    Raises:
        MissingInputError: no such file.
        ConfigError: an unknown key, a value of the wrong type, a file without `get_config`.
    """
    config = complete(_read(str(path)))
    values = flags.FlagValues()
    arguments = ["train", *overrides]
    for override in overrides:
        _check_override(override, config)
    try:
        config_flags.DEFINE_config_dict("config", config, flag_values=values, sys_argv=arguments)
        values(arguments)
    except (flags.Error, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"bad override: {_first_line(error)}") from error
    return from_mapping(values["config"].value.to_dict())


def complete(config: Mapping) -> ConfigDict:
    """A config with every key it may hold, the ones left out at their defaults.

    Raises:
        ConfigError: an unknown key or system, a value of the wrong type.
    """
    stated = ConfigDict(config)
    defaults = dataclasses.asdict(Settings())
    defaults["model"] = model_defaults(stated.get("system", defaults["system"]))
    sources = stated.get("data", {}).get("sources", {})
    defaults["data"]["sources"] = {
        name: source_defaults(name, each) for name, each in sources.items()
    }
    _check_keys(stated, defaults, "config")
    full = ConfigDict(defaults).lock()
    try:
        full.update(stated)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"config: {_first_line(error)}") from error
    return full


def model_defaults(system: str) -> dict:
    """Constructor arguments of a system with their defaults."""
    module = registry.build(system)
    names = [field.name for field in dataclasses.fields(module) if field.init]
    return {name: getattr(module, name) for name in names if name not in ("parent", "name")}


def _check_override(override: str, config: ConfigDict) -> None:
    key = override.partition("=")[0]
    if not key.startswith("--config."):
        raise ConfigError(f"bad override: {override!r}; write --config.key=value")
    nested = {}
    for name in reversed(key.split(".")[1:]):
        nested = {name: nested}
    _check_keys(nested, config, "config")


def _check_keys(stated: Mapping | ConfigDict, known: Mapping | ConfigDict, path: str) -> None:
    groups = (Mapping, ConfigDict)
    for key, value in stated.items():
        if key not in known:
            raise ConfigError(f"unknown {path}.{key}; known are {', '.join(sorted(known))}")
        if isinstance(value, groups) and isinstance(known[key], groups):
            _check_keys(value, known[key], f"{path}.{key}")


def _read(path: str) -> Mapping:
    name, _, choice = path.partition(":")
    module = _module(Path(name))
    if not hasattr(module, "get_config"):
        raise ConfigError(f"{name} has no function get_config()")
    if choice and not inspect.signature(module.get_config).parameters:
        raise ConfigError(f"{name} leaves no choice: leave out :{choice}")
    return module.get_config(choice) if choice else module.get_config()


def _module(path: Path) -> types.ModuleType:
    if not path.is_file():
        raise MissingInputError(f"no config file {path}; see configs/ for those that come along")
    spec = importlib.util.spec_from_file_location(f"config_{path.stem}", path)
    if spec is None:
        raise ConfigError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.resolve().parent))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.pop(0)
    return module


def _first_line(error: Exception) -> str:
    text = error.args[0] if error.args else error
    return str(text).splitlines()[0]
