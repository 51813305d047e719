#!/usr/bin/env python3
"""Every field, enum constant and number of the public headers stands in tests/abi/layout.c, and the lock holds in C and C++. usage: check_abi.py ROOT BUILD"""
import pathlib
import re
import shutil
import subprocess
import sys

root = pathlib.Path(sys.argv[1])
LOCK = root / "tests" / "abi" / "layout.c"
# Numbers that change with every release; everything else that is a number is part of the ABI.
UNLOCKED = re.compile(r"TS_API$|TS_VERSION_\w+$|TINYSTORIES_\w+_H$|TINYSTORIES_H$")


def without_comments(path):
    return re.sub(r"/\*.*?\*/|//[^\n]*", " ", path.read_text(), flags=re.S)


def fields_of(struct, body):
    """The names that the declarations of a struct's body declare; a declaration that cannot be read is an error, not nothing."""
    for declaration in filter(None, map(str.strip, body.split(";"))):
        pointer = re.fullmatch(r"[\w\s*]+\(\s*\*\s*(\w+)\s*\)\s*\(.*\)", declaration, flags=re.S)
        if pointer:
            yield pointer.group(1)
            continue
        for declarator in declaration.split(","):
            plain = re.fullmatch(r"[\w\s*]*?(\w+)\s*(\[\s*\w+\s*\])*\s*", declarator, flags=re.S)
            if not plain:
                sys.exit(f"{struct}: the declaration '{declaration}' cannot be read")
            yield plain.group(1)


def declared(text):
    """(structs with their fields, enum constants, object-like macros) of a header."""
    structs = {name: list(fields_of(name, body)) for body, name in re.findall(r"typedef\s+struct\s+\w*\s*\{(.*?)\}\s*(\w+)\s*;", text, flags=re.S)}
    enums = re.findall(r"\benum\b\s*\w*\s*\{(.*?)\}", text, flags=re.S)
    constants = [re.match(r"\s*(\w+)", one).group(1) for body in enums for one in body.split(",") if one.strip()]
    macros = [name for name in re.findall(r"^[ \t]*#[ \t]*define[ \t]+(\w+)(?!\()\b", text, flags=re.M) if not UNLOCKED.match(name)]
    if text.count("{") - len(re.findall(r'extern\s+"C"\s*\{', text)) != len(structs) + len(enums):
        sys.exit("a header has a braced declaration that is neither a typedef of a struct nor an enum")
    return structs, constants, macros


problems, counted = [], 0
lock = without_comments(LOCK)
for header in sorted((root / "include").rglob("*.h")):
    structs, constants, macros = declared(without_comments(header))
    for struct, fields in structs.items():
        wanted = [rf"SIZE\(\s*{struct}\s*,", *(rf"FIELD\(\s*{struct}\s*,\s*{field}\s*," for field in fields)]
        named = [struct, *(f"{struct}.{field}" for field in fields)]
        problems += [f"{header.name}: {name} is not locked in {LOCK.name}" for name, line in zip(named, wanted) if not re.search(line, lock)]
        counted += len(wanted)
    for name in constants + macros:
        counted += 1
        if not re.search(rf"VALUE\(\s*{name}\s*,", lock):
            problems.append(f"{header.name}: {name} is not locked in {LOCK.name}")
if counted < 100:
    problems.append(f"only {counted} names were found in the headers: the check reads them wrongly")
for compiler in ["gcc -std=c11", "clang -std=c11", "g++ -std=c++11 -x c++", "clang++ -std=c++11 -x c++"]:
    command = compiler.split()
    if not shutil.which(command[0]):
        print(f"skipped: the lock by {command[0]}, which is not here")
    else:
        compiled = subprocess.run([*command, "-fsyntax-only", f"-I{root / 'include'}", str(LOCK)], capture_output=True, text=True)
        if compiled.returncode != 0:
            problems.append(f"{compiler}: {compiled.stderr}")
print("\n".join(problems) or f"{counted} names are locked")
sys.exit(bool(problems))
