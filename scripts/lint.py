#!/usr/bin/python3
"""Runs clang-tidy over every source file that a build folder compiles: scripts/lint.py BUILD.

A file that was clean is not looked at again until it, a header of ours that it includes, the checks or its compile
command change; the keys of clean files live in the private prefix. Exits with 1 where something was found.
"""
import concurrent.futures
import hashlib
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
# The annotations of libs/base/mutex.h are Clang's to check; the commands it reads carry options of GCC's, whose omp.h
# it does not find.
CLANG_TIDY = ["clang-tidy-14", "--quiet", "--extra-arg=-Wthread-safety", "--extra-arg=-Wno-unknown-warning-option",
              "--extra-arg=-fno-openmp"]


def own_headers(build):
    """Per object file, the headers of ours that it was compiled with, as ninja recorded them."""
    text = subprocess.run(["ninja", "-C", str(build), "-t", "deps"], stdout=subprocess.PIPE, text=True, check=True).stdout
    headers, current = {}, None
    for line in text.splitlines():
        if line.startswith("    "):
            path = (build / line.strip()).resolve()
            if path.is_relative_to(ROOT) and not path.is_relative_to(build):
                current.append(path)
        elif ": #deps" in line:
            current = headers.setdefault(line.split(":")[0], [])
    return headers


def key_of(entry, headers):
    """A name for everything the linter's answer depends on, apart from headers that are not ours."""
    digest = hashlib.sha256(str(CLANG_TIDY).encode() + (ROOT / ".clang-tidy").read_bytes())
    digest.update(entry["command"].replace(str(ROOT), "").encode())
    for path in sorted({pathlib.Path(entry["file"]), *headers}):
        digest.update(path.relative_to(ROOT).as_posix().encode())
        digest.update(path.read_bytes() if path.exists() else b"")
    return digest.hexdigest()


def sources(build):
    """The compile commands of our own files, without generated code; each file once."""
    seen = {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        path = pathlib.Path(entry["file"])
        if path.is_relative_to(ROOT) and not path.is_relative_to(build) and path.suffix == ".cc":
            seen[str(path)] = entry
    return list(seen.values())


def lint(build, file):
    run = subprocess.run([*CLANG_TIDY, "-p", str(build), file], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return file, run.returncode, run.stdout or run.stderr


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    prefix = pathlib.Path(os.environ.get("SPLITFT_PREFIX") or pathlib.Path.home() / ".cache/splitft")
    clean = prefix / "lint"
    clean.mkdir(parents=True, exist_ok=True)

    headers = own_headers(build)
    every_header = [path for folder in ROOT.iterdir() if folder.is_dir() and not folder.name.startswith(("build", "."))
                    for path in folder.rglob("*.h")]
    todo = {}
    for entry in sources(build):
        key = key_of(entry, headers.get(entry["command"].split(" -o ")[1].split()[0], every_header))
        if not (clean / key).exists():
            todo[entry["file"]] = key

    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for file, code, output in pool.map(lambda file: lint(build, file), todo):
            if code == 0:
                (clean / todo[file]).touch()
            else:
                failed += 1
                print(output.replace(f"{ROOT}/", ""), flush=True)
    print(f"lint: {len(todo)} files looked at, {failed} with findings")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
