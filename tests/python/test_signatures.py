"""_c.py against the public headers: every function, struct, callback and constant."""

import ctypes
import os
import re
import shutil
import subprocess
import tempfile
import unittest
from ctypes import POINTER, c_char, c_char_p

from fixture import ROOT
from tinystories import _c

BASE = {"char": ctypes.c_char, "int32_t": ctypes.c_int32, "uint8_t": ctypes.c_uint8, "uint32_t": ctypes.c_uint32, "uint64_t": ctypes.c_uint64,
        "size_t": ctypes.c_size_t, "float": ctypes.c_float, "double": ctypes.c_double, "ts_status": ctypes.c_int32}
HEADERS = sorted(header for header in (ROOT / "include" / "tinystories").glob("*.h") if header.name != "mpi.h")  # of another library


def read_headers():
    text = "\n".join(header.read_text(encoding="utf-8") for header in HEADERS)
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    defines = dict(re.findall(r"^#define (TS_\w+) (.+)$", text, flags=re.M))
    return re.sub(r"\s+", " ", re.sub(r"^#.*$", "", text, flags=re.M)), defines


def split_declaration(declaration):
    """("const char *", "name", array length or None) of "const char *name[3]"; the name may be missing."""
    match = re.fullmatch(r"(.*?[\s*])(\w+)(?:\[(\d+)\])?", declaration.strip())
    if match is None or match.group(2) in BASE or match.group(2) == "void":
        return declaration.strip(), "", None
    return match.group(1).strip(), match.group(2), int(match.group(3)) if match.group(3) else None


def allowed_types(c_type):
    """The ctypes that may stand for a C type: one, but for text, which has two forms."""
    stars, constant = c_type.count("*"), "const" in c_type
    name = re.sub(r"\bconst\b|\*|\bstruct\b", " ", c_type).strip()
    if name == "void":
        return [None] if stars == 0 else [ctypes.c_void_p]
    if name == "char" and stars:
        kinds = [c_char_p, POINTER(c_char)] if constant else [POINTER(c_char)]
        for _ in range(stars - 1):
            kinds = [POINTER(kind) for kind in kinds]
        return kinds
    kind = BASE.get(name) or getattr(_c, name)
    for _ in range(stars):
        kind = POINTER(kind)
    return [kind]


def arguments_of(text):
    return [] if text.strip() == "void" else [split_declaration(one)[0] for one in text.split(",")]


class Signatures(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.text, cls.defines = read_headers()
        cls.functions = {name: (result.strip(), arguments_of(arguments))
                         for result, name, arguments in re.findall(r"TS_API ([^;()]*?[\s*])(\w+)\(([^()]*)\);", cls.text)}
        cls.structs = {name: body for name, body in re.findall(r"typedef struct (\w+) \{(.*?)\} \1;", cls.text)}
        cls.callbacks = {name: (result, arguments_of(arguments))
                         for result, name, arguments in re.findall(r"typedef (\w+) \(\*(\w+)\)\(([^()]*)\);", cls.text)}
        cls.constants = {name: int(value) for body in re.findall(r"enum \{(.*?)\}", cls.text)
                         for name, value in re.findall(r"(\w+) = (-?\d+)", body)}

    def assert_types(self, where, c_type, kind):
        self.assertIn(kind, allowed_types(c_type), f"{where}: {c_type} is {kind}")

    def assert_callback(self, where, result, arguments, kind):
        self.assert_types(where, result, kind._restype_)
        self.assertEqual(len(arguments), len(kind._argtypes_), where)
        for c_type, argument in zip(arguments, kind._argtypes_):
            self.assert_types(where, c_type, argument)

    def test_the_parser_saw_everything(self):
        self.assertEqual(len(self.functions), self.text.count("TS_API "))
        self.assertEqual(len(self.structs), self.text.count("typedef struct") - len(re.findall(r"typedef struct \w+ \w+;", self.text)))
        self.assertEqual(len(self.constants), self.text.count(" = ") + self.text.count("\n = "))
        self.assertGreater(len(self.functions), 70)
        self.assertEqual(len(re.findall(r"typedef \w+ \(\*", self.text)), len(self.callbacks))

    def test_functions(self):
        self.assertEqual(set(self.functions), set(_c.FUNCTIONS))
        for name, (result, arguments) in self.functions.items():
            function = getattr(_c.library, name)
            self.assert_types(f"{name}: result", result, function.restype)
            self.assertEqual(len(arguments), len(function.argtypes), name)
            for number, (c_type, kind) in enumerate(zip(arguments, function.argtypes)):
                self.assert_types(f"{name}: argument {number}", c_type, kind)

    def test_every_status_is_checked(self):
        for name, (result, _) in self.functions.items():
            checked = getattr(getattr(_c.library, name), "errcheck", None) is not None
            self.assertEqual(checked, result == "ts_status", name)

    def test_exports_are_declared(self):
        exported = re.findall(r"\b(ts_\w+);", (ROOT / "lib" / "tinystories.map").read_text(encoding="utf-8"))
        self.assertEqual(set(exported) - set(_c.FUNCTIONS), set())

    def test_callbacks(self):
        for name, (result, arguments) in self.callbacks.items():
            self.assert_callback(name, result, arguments, getattr(_c, name))

    def test_struct_fields(self):
        for name, body in self.structs.items():
            declared = getattr(_c, name)._fields_
            fields = [one.strip() for one in body.split(";") if one.strip()]
            self.assertEqual(len(fields), len(declared), name)
            for field, (field_name, kind) in zip(fields, declared):
                where = f"{name}.{field_name}"
                hook = re.fullmatch(r"(.*?)\(\*(\w+)\)\((.*)\)", field)
                if hook:
                    self.assertEqual(hook.group(2), field_name)
                    self.assert_callback(where, hook.group(1), arguments_of(hook.group(3)), kind)
                    continue
                c_type, c_name, length = split_declaration(field)
                self.assertEqual(c_name, field_name, name)
                if length is not None:
                    self.assertEqual(kind._length_, length, where)
                    kind = kind._type_
                self.assert_types(where, c_type, kind)

    def test_constants(self):
        for name, value in self.constants.items():
            self.assertEqual(getattr(_c, name), value, name)
        self.assertEqual(self.defines["TS_TOKENIZER_NONE"], "UINT32_MAX")
        self.assertEqual(_c.TS_TOKENIZER_NONE, 2**32 - 1)
        self.assertEqual(tuple(int(self.defines[f"TS_VERSION_{part}"]) for part in ("MAJOR", "MINOR")), _c.VERSION)
        known = set(self.constants) | set(self.defines)
        self.assertEqual({name for name in vars(_c) if name.startswith("TS_")} - known, set())

    def test_a_status_is_an_exception(self):
        statuses = {value for name, value in self.constants.items() if name.startswith("TS_ERROR_")}
        self.assertEqual(statuses, set(_c.errors._BY_STATUS))
        for status in statuses:
            self.assertEqual(_c.errors.from_status(status, "why").status, status)
            self.assertEqual(str(_c.errors.from_status(status, "why")), "why")
        self.assertEqual(_c.errors.from_status(-99, "").status, -99)
        self.assertEqual(_c.library.ts_status_name(-4), b"TS_ERROR_FORMAT")

    @unittest.skipUnless(shutil.which("cc"), "no C compiler")
    def test_layout(self):
        lines = []
        for name in self.structs:
            lines.append(f'printf("{name} %zu\\n", sizeof({name}));')
            for field, _ in getattr(_c, name)._fields_:
                lines.append(f'printf("{name}.{field} %zu %zu\\n", offsetof({name}, {field}), sizeof((({name} *)0)->{field}));')
        lines += [f'printf("{name} %lld\\n", (long long){name});' for name in self.constants]
        includes = "".join(f'#include "tinystories/{header.name}"\n' for header in HEADERS)
        with tempfile.TemporaryDirectory() as folder:
            source, program = os.path.join(folder, "layout.c"), os.path.join(folder, "layout")
            with open(source, "w", encoding="utf-8") as file:
                file.write(includes + "#include <stdio.h>\nint main(void)\n{\n" + "\n".join(lines) + "\nreturn 0;\n}\n")
            subprocess.run(["cc", "-I", str(ROOT / "include"), source, "-o", program], check=True)
            printed = subprocess.run([program], check=True, capture_output=True, text=True).stdout
        for line in printed.splitlines():
            name, *numbers = line.split()
            struct, _, field = name.partition(".")
            if field:
                place = getattr(getattr(_c, struct), field)
                self.assertEqual([place.offset, place.size], [int(number) for number in numbers], name)
            elif name in self.structs:
                self.assertEqual(ctypes.sizeof(getattr(_c, name)), int(numbers[0]), name)
            else:
                self.assertEqual(getattr(_c, name), int(numbers[0]), name)
        self.assertEqual(len(printed.splitlines()), len(lines))


if __name__ == "__main__":
    unittest.main()
