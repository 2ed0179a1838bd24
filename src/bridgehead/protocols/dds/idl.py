"""Types from IDL files: `idlc` makes the binding's classes of them, and these are read into our descriptions."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
import tempfile
from enum import Enum as PythonEnum
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from bridgehead.protocols.dds.codec.codec import Codec
from bridgehead.protocols.dds.codec.types import (
    FINAL,
    Array,
    Bitmask,
    Case,
    Enum,
    Map,
    Member,
    Primitive,
    Sequence,
    String,
    Struct,
    Type,
    Union,
)

_COMPILER: Final = "idlc"
_PATIENCE: Final = 60.0  # seconds for the compiler
_DEEPEST: Final = 64
_MOST: Final = 20_000  # types in one, each counted where it stands: a short announcement can unfold to very many
# The binding's names of primitive types.
_PRIMITIVES: Final = {
    "int8": "int8",
    "uint8": "uint8",
    "byte": "byte",
    "int16": "int16",
    "uint16": "uint16",
    "int32": "int32",
    "uint32": "uint32",
    "int64": "int64",
    "uint64": "uint64",
    "float32": "float32",
    "float64": "float64",
    "char": "char8",
    "wchar": "char16",
}
_PLAIN: Final = {bool: "boolean", int: "int64", float: "float64"}


class IdlError(Exception):
    """The text names the file, and the line where the compiler knows it, and says what to do."""


class Compiled:
    """A type as the hub uses it: `codec` for its octets, `python` is the binding's class, for Cyclone's topic."""

    def __init__(self, codec: Codec, python: type[Any]) -> None:
        self.codec: Final = codec
        self.python: Final = python

    @property
    def type(self) -> Struct:
        return self.codec.type


def compile_idl(file: Path, type_name: str) -> Compiled:
    """`type_name` has its modules before it, with `::` or `.`. Includes are looked for beside the file. Blocks while
    the compiler runs. Errors: IdlError."""
    if not file.is_file():
        raise IdlError(f"there is no IDL file {file}: name one that is there")
    file = file.absolute()  # the compiler runs elsewhere
    wanted = type_name.replace("::", ".")
    with tempfile.TemporaryDirectory(prefix="bridgehead-idl-") as folder:
        _run_compiler(file, Path(folder))
        classes = _import_all(Path(folder), file)
        python = classes.get(wanted)
        if python is None:
            known = ", ".join(name.replace(".", "::") for name in sorted(classes)) or "none"
            raise IdlError(f"{file} has no structure {type_name}: name one of those that it has ({known})")
        return compiled(python, str(file))


def compiled(python: Any, where: str = "") -> Compiled:
    """Of one of the binding's classes. Errors: IdlError."""
    try:
        described = from_binding(python)
        if not isinstance(described, Struct):
            raise IdlError(f"{where or python.__name__}: a topic's type is a structure, not a union: put it into one")
        python.__idl__.populate()  # type information, while the modules that it names are there
        python.__idl__.fill_type_data()
        return Compiled(Codec(described), python)
    except IdlError:
        raise
    except Exception as fault:
        raise IdlError(f"{where}: {python.__name__} cannot be used as a topic's type ({fault}): simplify it") from fault


def _run_compiler(file: Path, folder: Path) -> None:
    compiler = shutil.which(_COMPILER)
    if compiler is None:
        raise IdlError(f"{_COMPILER} is not here, which compiles {file}: install cyclonedds-tools (Debian)")
    import cyclonedds.__idlc__ as plugin  # here: the hub runs without DDS too

    command = [compiler, "-l", str(plugin.idlpy_path), "-I", str(file.parent), str(file)]
    try:
        done = subprocess.run(  # noqa: S603 (the owner's own file; no shell)
            command, cwd=folder, capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        raise IdlError(f"{file}: {_COMPILER} did not end within {_PATIENCE:g} s: is the file what you mean?") from None
    said_all = (done.stdout + done.stderr).splitlines()
    faults = [line for line in said_all if str(file) in line and "warning" not in line]
    if done.returncode or not any(folder.iterdir()):
        said = faults[0] if faults else f"{_COMPILER} ended with exit code {done.returncode} and no word"
        raise IdlError(f"{file} is no IDL that {_COMPILER} takes ({said}): correct it there")


def _import_all(folder: Path, file: Path) -> dict[str, type]:
    """The structures, by their full names with dots. The modules are gone again from Python's table afterwards: another
    IDL file may have modules of the same names."""
    from cyclonedds.idl import IdlStruct

    names = sorted(each.stem for each in folder.iterdir() if each.suffix == ".py" or (each / "__init__.py").exists())
    for name in names:
        if name in sys.modules or name in sys.stdlib_module_names:
            raise IdlError(f"{file}: a module {name!r} cannot be, for Python has one: call it otherwise")
    sys.path.insert(0, str(folder))
    before = sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    importlib.invalidate_caches()
    try:
        found: dict[str, type] = {}
        for name in names:
            _collect(importlib.import_module(name), name, found)
        for python in found.values():
            _resolve(python)
        return {name: python for name, python in found.items() if issubclass(python, IdlStruct)}
    except IdlError:
        raise
    except Exception as fault:
        raise IdlError(f"{file}: what {_COMPILER} made of it cannot be used ({fault}): simplify the types") from fault
    finally:
        sys.path.remove(str(folder))
        sys.dont_write_bytecode = before
        for name in [each for each in sys.modules if each.split(".")[0] in names]:
            del sys.modules[name]


def _collect(module: ModuleType, path: str, found: dict[str, type]) -> None:
    """Structures and unions: both have names of other types in their annotations."""
    from cyclonedds.idl import IdlStruct, IdlUnion

    for name, value in vars(module).items():
        if isinstance(value, ModuleType) and value.__name__ == f"{module.__name__}.{name}":
            _collect(value, f"{path}.{name}", found)
        elif (
            isinstance(value, type) and issubclass(value, (IdlStruct, IdlUnion)) and value not in (IdlStruct, IdlUnion)
        ):
            found[str(value.__idl_typename__)] = value


def _resolve(python: type) -> None:
    """Names of other types in its annotations become these types, while their modules can be imported."""
    from cyclonedds.idl._type_normalize import get_extended_type_hints

    get_extended_type_hints(python)


def from_binding(python: Any) -> Type:
    """The description of one of the binding's classes or type hints. Errors: IdlError."""
    return _Reading().type_of(python, 0)


class _Reading:
    """One reading of a class and all that it contains."""

    def __init__(self) -> None:
        from cyclonedds import idl
        from cyclonedds.idl import _type_normalize, types

        self._idl: Final = idl
        self._types: Final = types
        self._hints: Final = _type_normalize
        self._left = _MOST

    def type_of(self, hint: Any, depth: int) -> Type:
        if depth > _DEEPEST:
            raise IdlError("the type contains itself, or types in types too deep: the hub takes none of these")
        self._left -= 1
        if self._left < 0:
            raise IdlError(f"the type is made of more than {_MOST} types: the hub takes smaller ones")
        types = self._types
        if hint in _PLAIN:
            return Primitive(_PLAIN[hint])
        if hint is str:
            return String()
        if isinstance(hint, types.typedef):
            return self.type_of(hint.subtype, depth + 1)
        if isinstance(hint, types.bounded_str):
            return String(hint.max_length)
        if isinstance(hint, types.sequence):
            return Sequence(self.type_of(hint.subtype, depth + 1), hint.max_length or 0)
        if isinstance(hint, types.array):
            return Array(self.type_of(hint.subtype, depth + 1), hint.length)
        if isinstance(hint, type):
            return self._class(hint, depth)
        metadata: tuple[Any, ...] = getattr(hint, "__metadata__", ())
        if metadata:
            if not isinstance(metadata[0], str):
                return self.type_of(metadata[0], depth + 1)
            if metadata[0] in _PRIMITIVES:
                return Primitive(_PRIMITIVES[metadata[0]])
        origin: Any = getattr(hint, "__origin__", None)
        arguments: tuple[Any, ...] = getattr(hint, "__args__", ())
        if origin is list:
            return Sequence(self.type_of(arguments[0], depth + 1))
        if origin is dict:
            return Map(self.type_of(arguments[0], depth + 1), self.type_of(arguments[1], depth + 1))
        raise IdlError(f"types like {hint} are not supported: use another one")

    def _class(self, python: Any, depth: int) -> Type:
        name = str(getattr(python, "__idl_typename__", python.__name__)).replace(".", "::")
        notes = self._hints.get_idl_annotations(python)
        if issubclass(python, PythonEnum):
            bits = _bits(int(notes.get("bit_bound", 32)), (8, 16, 32))
            return Enum(name, {each.name: int(each.value) for each in python}, bits)
        if issubclass(python, self._idl.IdlBitmask):
            positions = python.__idl_positions__
            bits = _bits(int(notes.get("bit_bound", 32)), (8, 16, 32, 64))
            return Bitmask(name, dict(sorted(positions.items(), key=lambda pair: int(pair[1]))), bits)
        if issubclass(python, self._idl.IdlUnion):
            return self._union(python, name, str(notes.get("extensibility", FINAL)), depth)
        if issubclass(python, self._idl.IdlStruct):
            return self._struct(python, name, notes, depth)
        raise IdlError(f"types like {python.__name__} are not supported: use another one")

    def _struct(self, python: Any, name: str, notes: dict[str, Any], depth: int) -> Struct:
        fields = self._hints.get_idl_field_annotations(python)
        listed = notes.get("keylist") or []
        python.__idl__.populate()
        members = []
        for field, hint in self._hints.get_extended_type_hints(python).items():
            told = fields.get(field, {})
            optional = isinstance(hint, self._hints.WrapOpt)
            kind = self.type_of(hint.inner if optional else hint, depth + 1)
            key = bool(told.get("key")) or field in listed
            id_ = python.__idl__.get_member_id(field)
            members.append(Member(field, kind, id_, key, optional, bool(told.get("must_understand")) or key))
        return Struct(name, tuple(members), str(notes.get("extensibility", FINAL)))

    def _union(self, python: Any, name: str, extensibility: str, depth: int) -> Union:
        discriminator = self.type_of(python.__idl_discriminator__, depth + 1)
        python.__idl__.populate()
        cases: list[Case] = []
        default: Case | None = None
        for field, hint in self._hints.get_extended_type_hints(python).items():
            kind = self.type_of(hint.subtype, depth + 1)
            id_ = python.__idl__.get_member_id(field)
            if isinstance(hint, self._types.default):
                default = Case(field, kind, id_, ())
            else:
                labels = tuple(each.name if isinstance(each, PythonEnum) else each for each in hint.labels)
                cases.append(Case(field, kind, id_, labels))
        return Union(name, discriminator, tuple(cases), default, extensibility)


def _bits(bound: int, sizes: tuple[int, ...]) -> int:
    """Of the smallest that hold so many (section 7.3.1.2.1.1)."""
    for size in sizes:
        if bound <= size:
            return size
    raise IdlError(f"@bit_bound({bound}) is too large: at most {sizes[-1]}")
