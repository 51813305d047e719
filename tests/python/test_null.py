"""No NULL crashes the host: every function with NULL in one place after another, all else as it should be."""

import ctypes
import os
import signal
import tempfile
import unittest

from fixture import new_model, new_trainer, tokenizer, write_stories
import tinystories as ts
from tinystories import _c

SIZE = 3  # of arrays and texts
CALLBACKS = {_c.ts_progress: _c.ts_progress(lambda user, done, total: 0),
             _c.ts_next_text: _c.ts_next_text(lambda user, text, size: 1),
             _c.ts_tap_callback: _c.ts_tap_callback(lambda *arguments: 0),
             _c.ts_trainer_progress: _c.ts_trainer_progress(lambda user, report: 0),
             _c.ts_sampler_text: _c.ts_sampler_text(lambda user, text, size: 0)}


def handles(folder):
    """One of every handle that can be made without a service."""
    model = new_model()
    made = {_c.ts_tokenizer: tokenizer(), _c.ts_model: model, _c.ts_trainer: new_trainer(folder), _c.ts_sampler: ts.Sampler(model),
            _c.ts_generator: ts.Generator()}
    try:
        chat = ts.Chat(model="m", journal=f"{folder}/journal", base_url="http://127.0.0.1:1", attempts=1)
        made[_c.ts_summaries] = ts.Summaries(write_stories(folder), chat)
    except ts.UnsupportedError:
        pass  # built without chat services
    return {kind: handle._pointer for kind, handle in made.items()}


class Caller:
    def __init__(self, folder):
        self.folder = folder
        self.text = write_stories(folder).encode()
        self.handles = handles(folder)

    def value(self, kind):
        """Something fit for an argument of this type; None where there is nothing."""
        if kind in CALLBACKS:
            return CALLBACKS[kind]
        if kind is ctypes.c_char_p:
            return self.text
        if kind is ctypes.c_void_p:
            return None
        if not hasattr(kind, "contents"):
            return kind(SIZE).value if kind not in (ctypes.c_double, ctypes.c_float) else 0.5
        inner = kind._type_
        if inner in self.handles:
            return self.handles[inner]
        if inner is ctypes.c_char_p:
            return (ctypes.c_char_p * SIZE)(*[self.text] * SIZE)
        if hasattr(inner, "contents"):
            return (inner * SIZE)()
        if issubclass(inner, ctypes.Structure):
            if not hasattr(inner, "_fields_"):
                return None
            made = inner()
            if inner._fields_ and inner._fields_[0][0] == "struct_size":
                made.struct_size = ctypes.sizeof(inner)
                initialize = getattr(_c.library, inner.__name__ + "_init", None)
                if initialize:
                    initialize(ctypes.byref(made), ctypes.sizeof(inner))
            return (inner * 1)(made)
        return (inner * 4096)()

    def calls(self, name):
        """The argument lists to try: all NULL, then NULL in one place alone, and lists of strings that hold a NULL."""
        kinds = _c.FUNCTIONS[name][1]
        pointers = [i for i, kind in enumerate(kinds) if hasattr(kind, "contents") or kind in (ctypes.c_char_p, ctypes.c_void_p) or kind in CALLBACKS]
        yield [None if i in pointers else 0 for i in range(len(kinds))]
        yield [None if i in pointers else SIZE for i in range(len(kinds))]
        for place in pointers:
            yield [None if i == place else self.value(kind) for i, kind in enumerate(kinds)]
            if kinds[place] is ctypes.POINTER(ctypes.c_char_p):
                yield [(ctypes.c_char_p * SIZE)() if i == place else self.value(kind) for i, kind in enumerate(kinds)]

    def call(self, name, arguments):
        result, kinds = _c.FUNCTIONS[name]
        arguments = [kind() if value is None and kind in CALLBACKS else value for kind, value in zip(kinds, arguments)]
        return ctypes.cast(getattr(_c.library, name), ctypes.CFUNCTYPE(result, *kinds))(*arguments)


class Null(unittest.TestCase):
    def test_every_function(self):
        with tempfile.TemporaryDirectory() as folder:
            caller = Caller(folder)
            self.addCleanup(os.chdir, os.getcwd())
            os.chdir(folder)
            bad = []
            for name in _c.FUNCTIONS:
                if name.endswith("_free"):
                    caller.call(name, [None])
                    continue
                for arguments in caller.calls(name):
                    child = os.fork()
                    if child == 0:
                        signal.alarm(20)
                        try:
                            caller.call(name, arguments)
                        except BaseException:
                            os._exit(3)
                        os._exit(0)
                    status = os.waitpid(child, 0)[1]
                    if status != 0:
                        bad.append(f"{name}({', '.join('NULL' if a is None else type(a).__name__ for a in arguments)}): {status}")
            self.assertEqual(bad, [], "\n".join(bad))


if __name__ == "__main__":
    unittest.main()
