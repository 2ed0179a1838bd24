"""Runs mypyc on the given modules as one group and builds the shared objects, C files in parallel.

Started by tools/compile.py in a process of its own, with the source folder as the current one.
"""

from __future__ import annotations

import argparse
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

# setuptools first: on Python 3.12 and later it provides distutils.
import setuptools  # isort: skip
from distutils.ccompiler import CCompiler

from mypyc.build import mypycify
from setuptools.command.build_ext import build_ext


def newest(paths: list[str]) -> float:
    return max((os.path.getmtime(path) for path in paths if os.path.exists(path)), default=0.0)


def compile_in_parallel(jobs: int, headers: list[str]) -> Any:
    """A replacement of distutils' CCompiler.compile, which does one file after another.

    `jobs` files are compiled at once, and only those whose object is older than the source: mypyc leaves a generated
    file alone when its text is the same, so times can be believed. Any changed header makes every object old:
    headers change when the shape of a class does.
    """

    def compile_sources(
        self: Any,
        sources: list[str],
        output_dir: str | None = None,
        macros: Any = None,
        include_dirs: Any = None,
        debug: bool = False,
        extra_preargs: Any = None,
        extra_postargs: Any = None,
        depends: Any = None,
    ) -> list[str]:
        macros, objects, extra_postargs, pp_opts, build = self._setup_compile(
            output_dir, macros, include_dirs, sources, depends, extra_postargs
        )
        cc_args = self._get_cc_args(pp_opts, debug, extra_preargs)
        header_time = newest(headers)

        def one(item: tuple[str, tuple[str, str]]) -> None:
            obj, (src, ext) = item
            if os.path.exists(obj) and os.path.getmtime(obj) > max(os.path.getmtime(src), header_time):
                return
            self._compile(obj, src, ext, cc_args, extra_postargs, pp_opts)

        # The largest first, so that the last one to end is a small one.
        work = sorted(build.items(), key=lambda item: -os.path.getsize(item[1][0]))
        with ThreadPoolExecutor(jobs) as pool:
            list(pool.map(one, work))
        return list(objects)

    return compile_sources


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--library", type=Path, required=True)
    parser.add_argument("--group", required=True)
    parser.add_argument("--opt-level", required=True)
    parser.add_argument("--jobs", type=int, required=True)
    parser.add_argument("modules", nargs="+")
    arguments = parser.parse_args()

    generated = arguments.work / "c"
    extensions = mypycify(
        # The options are all here: mypy reads no configuration, so a wheel is built as in development.
        [
            f"--cache-dir={arguments.work / 'mypy_cache'}",
            "--config-file=",
            "--explicit-package-bases",
            *arguments.modules,
        ],
        opt_level=arguments.opt_level,
        debug_level="0",
        multi_file=True,
        target_dir=str(generated),
        group_name=arguments.group,
    )
    headers = [str(path) for path in generated.rglob("*.h")]
    distribution = setuptools.Distribution({"name": "bridgehead-compiled", "ext_modules": extensions})
    command = build_ext(distribution)
    command.build_lib = str(arguments.library)
    command.build_temp = str(arguments.work / "objects")
    command.ensure_finalized()
    setattr(CCompiler, "compile", compile_in_parallel(arguments.jobs, headers))  # noqa: B010 (a method is replaced)
    command.run()
    wanted = {Path(command.get_ext_fullpath(extension.name)).resolve() for extension in extensions}
    for stale in [path for path in arguments.library.rglob("*.so") if path.resolve() not in wanted]:
        stale.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
