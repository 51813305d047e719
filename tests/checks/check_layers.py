#!/usr/bin/env python3
"""Rooms include only what their layer allows, outside headers have one owner, and lib/ calls nothing that a library must not. usage: check_layers.py ROOT BUILD"""
import pathlib
import re
import sys

lib = pathlib.Path(sys.argv[1]) / "lib"
# What a room may include directly, besides itself; what those may include it may include too.
BELOW = {
    "base": [], "text": ["base"], "tensor": ["base"], "format": ["base", "text"], "chat": ["format"], "tokenizer": ["text", "format"],
    "network": ["tensor"], "model": ["network", "format", "tokenizer"], "sampler": ["model", "tokenizer"], "trainer": ["model", "tokenizer"],
    "generator": ["chat", "format", "text"], "evaluator": ["model", "tokenizer", "chat"], "mpi": [],
}
OWNERS = {"cblas.h": "tensor/gemm_blas.c", "zlib.h": "format/gzip.c", "cjson/cJSON.h": "format/json.c", "curl/curl.h": "chat/http.c", "mpi.h": "mpi/mpi_communicator.c"}
# Rooms whose one header includes others of the room that others may then name.
SHOWN = {"format": ["format", "gguf", "gzip", "json", "llama2c", "order", "safetensors", "stories", "tokens"]}
BANNED = re.compile(r"\b(exit|_exit|abort|assert|printf|fprintf|puts|putchar|strcpy|strcat|sprintf|strtok|atoi|setlocale|signal|getenv|rand|srand|alloca)\s*\(")


def allowed(room):
    seen, todo = set(), [room]
    while todo:
        one = todo.pop()
        if one not in seen:
            seen.add(one)
            todo += BELOW[one]
    return seen


problems = []
for file in sorted([*lib.rglob("*.c"), *lib.rglob("*.h")]):
    name, room = str(file.relative_to(lib)), file.relative_to(lib).parts[0]
    if room not in BELOW:
        problems.append(f"{name}: no room of the design")
        continue
    text = re.sub(r"/\*.*?\*/", "", file.read_text(), flags=re.S)
    for included in re.findall(r'#include\s+[<"]([^>"]+)[>"]', text):
        other = included.split("/")[0]
        if other in BELOW:
            if other not in allowed(room):
                problems.append(f"{name}: includes {included}, which is not below it")
            shown = SHOWN.get(other, [other])
            if other != room and included not in [f"{other}/{header}.h" for header in shown]:
                problems.append(f"{name}: includes {included}, which is private to its room")
        if included in OWNERS and name != OWNERS[included]:
            problems.append(f"{name}: includes {included}, which belongs to {OWNERS[included]}")
    code = re.sub(r'"(\\.|[^"\\])*"', '""', text)
    for match in BANNED.finditer(code):
        problems.append(f"{name}: calls {match.group(1)}")
names = [file.name for file in lib.rglob("*.[ch]")]
problems += [f"two files are named {name}" for name in sorted(set(names)) if names.count(name) > 1]
print("\n".join(problems))
sys.exit(bool(problems))
