"""Lifetimes, callbacks, threads and bad arguments."""

import array
import copy
import ctypes
import gc
import io
import os
import pathlib
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import unittest.mock
import weakref

import fixture
from fixture import ROOT, ts
from tinystories import _c, _handle

try:
    import numpy
except ImportError:
    numpy = None


class WithFolder(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = temporary.name

    def path(self, name):
        return os.path.join(self.folder, name)


class Lifetimes(WithFolder):
    def handles(self):
        model = fixture.new_model()
        return [ts.Runtime(threads=1), ts.Tokenizer.train(["a b a b"], 257), model, ts.Sampler(model),
                fixture.new_trainer(self.folder)]

    def test_close_twice_and_use_after(self):
        uses = {ts.Runtime: lambda h: h.threads, ts.Tokenizer: len, ts.Model: lambda h: h.tensors(), ts.Sampler: lambda h: h.start("a"),
                ts.Trainer: lambda h: h.step()}
        for handle in self.handles():
            with self.subTest(type(handle).__name__):
                self.assertFalse(handle.closed)
                with handle as same:
                    self.assertIs(same, handle)
                    uses[type(handle)](handle)
                handle.close()
                self.assertTrue(handle.closed)
                with self.assertRaisesRegex(ValueError, "closed"):
                    uses[type(handle)](handle)
                with self.assertRaisesRegex(ValueError, "closed"):
                    with handle:
                        pass

    def test_no_copies_and_no_pickles(self):
        for handle in self.handles():
            for attempt in (copy.copy, copy.deepcopy, pickle.dumps):
                with self.subTest(f"{attempt.__name__} of a {type(handle).__name__}"), self.assertRaisesRegex(TypeError, "copied or pickled"):
                    attempt(handle)

    def test_children_outlive_parents(self):
        runtime = ts.Runtime(threads=2, log=lambda level, line: None)
        tokenizer = ts.Tokenizer.train(fixture.STORIES, 300, runtime=runtime)
        model = ts.Model.new(tokenizer, fixture.shape(), runtime=runtime)
        tensors, inner, sampler = model.tensors(), model.tokenizer, ts.Sampler(model, seed=1)
        told = sampler.tell("Once")
        first = bytes(memoryview(tensors["token_embd.weight"]).cast("B"))
        for handle in (runtime, tokenizer, model):
            handle.close()
        del runtime, tokenizer, model
        gc.collect()
        self.assertEqual(sampler.tell("Once"), told)
        self.assertEqual(inner.decode(inner.encode("Once")), "Once")
        sampler.close()
        self.assertEqual(bytes(memoryview(tensors["token_embd.weight"]).cast("B")), first)

    def test_memory_is_given_back(self):
        runtime = ts.Runtime(threads=1)
        before = runtime.memory
        model = ts.Model.new(fixture.tokenizer(), fixture.shape(), runtime=runtime)
        views, sampler = model.tensors(), ts.Sampler(model)
        self.assertGreater(runtime.memory, before + 4 * model.parameters)
        model.close()
        self.assertGreater(runtime.memory, before)
        del sampler, views
        gc.collect()
        self.assertEqual(runtime.memory, before)
        self.assertGreater(runtime.memory_peak, before)

    def test_a_snapshot_outlives_its_trainer(self):
        with fixture.new_trainer(self.folder) as trainer:
            trainer.step()
            model = trainer.snapshot()
        self.assertEqual(len(model.tokenizer), len(fixture.tokenizer()))
        self.assertIsInstance(ts.Sampler(model, max_tokens=3).tell(), str)

    def test_cycles_are_collected(self):
        class Owner:
            pass

        owner = Owner()
        owner.runtime = ts.Runtime(threads=1, log=lambda level, line, owner=owner: None)
        owner.model = ts.Model.new(fixture.tokenizer(), fixture.shape(), runtime=owner.runtime)
        owner.sampler, gone = ts.Sampler(owner.model), weakref.ref(owner)
        del owner
        gc.collect()
        self.assertIsNone(gone())

    def test_shutdown_with_open_handles(self):
        program = ("import fixture; from fixture import ts; m = fixture.new_model(); s = ts.Sampler(m); s.start('a'); t = m.tensors();"
                   "r = ts.Runtime(log=print); loop = [m, r]; loop.append(loop); print('end')")
        done = subprocess.run([sys.executable, "-c", program], cwd=ROOT / "tests" / "python", capture_output=True, text=True, timeout=60)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "end\n", ""))

    def test_mapped_memory_is_kept(self):
        data = fixture.new_model().save_memory()
        space = bytearray(len(data) + 64)
        start = -ctypes.addressof(ctypes.c_char.from_buffer(space)) % 64
        space[start:start + len(data)] = data
        model = ts.Model.open_memory(memoryview(space)[start:start + len(data)], map=1)
        sampler = ts.Sampler(model, seed=3)
        told = sampler.tell("Once")
        del model, space
        gc.collect()
        junk = [bytearray(len(data)) for _ in range(20)]
        self.assertEqual(sampler.tell("Once"), told)
        self.assertEqual(len(junk), 20)


class Callbacks(WithFolder):
    def test_exceptions_come_out_as_they_are(self):
        path = fixture.write_stories(self.folder)
        many = fixture.write_stories(self.folder, "many.txt", times=20)  # progress is told every 1,024 stories
        model = fixture.new_model()

        class Mine(Exception):
            pass

        calls = {
            "train": lambda stop: ts.Tokenizer.train(fixture.STORIES, 400, progress=stop),
            "train_files": lambda stop: ts.Tokenizer.train_files(path, 400, progress=stop),
            "encode_files": lambda stop: fixture.tokenizer().encode_files(many, self.path("shard.bin"), progress=stop),
            "score_files": lambda stop: model.score_files([path], progress=stop),
            "run": lambda stop: fixture.new_trainer(self.folder, log_interval=1).run(stop),
        }
        for name, call in calls.items():
            for error in (Mine("mine"), KeyboardInterrupt(), SystemExit(3)):
                def stop(*arguments):
                    raise error

                with self.subTest(name):
                    with self.assertRaises(type(error)) as caught:
                        call(stop)
                    self.assertIs(caught.exception, error)
            with self.subTest(name), self.assertRaises(ts.CancelledError):
                call(lambda *arguments: True)
        self.assertFalse(os.path.exists(self.path("shard.bin")))
        self.assertEqual(_c.pending.__dict__, {})

    def test_exceptions_of_sources(self):
        def texts():
            yield "Once upon a time"
            raise LookupError("no more")

        for call in (ts.Tokenizer.train, fixture.new_model().score):
            with self.assertRaisesRegex(LookupError, "no more"):
                call(texts())
            with self.assertRaises(TypeError):
                call([1, 2])
            with self.assertRaises(TypeError):
                call("one text")
            with self.assertRaises(ts.InvalidArgumentError):
                call([])

    def test_a_trainer_goes_on_after_an_exception(self):
        def stop(report):
            if report.step == 3:
                raise KeyError("three")

        trainer = fixture.new_trainer(self.folder, log_interval=1)
        with self.assertRaises(KeyError):
            trainer.run(stop)
        self.assertEqual(trainer.report.step, 3)
        self.assertEqual(trainer.run().step, 20)
        self.assertTrue(trainer.done)

    def test_interrupt_at_any_moment(self):
        handler = signal.signal(signal.SIGINT, signal.default_int_handler)
        self.addCleanup(signal.signal, signal.SIGINT, handler)
        trainer = fixture.new_trainer(self.folder, max_steps=0, max_seconds=30, log_interval=1, batch_tokens=512)
        hook = sys.unraisablehook
        for _ in range(5):
            timer = threading.Timer(0.05, signal.pthread_kill, (threading.main_thread().ident, signal.SIGINT))
            timer.start()
            began = time.monotonic()
            with self.assertRaises(KeyboardInterrupt):
                trainer.run()
            self.assertLess(time.monotonic() - began, 10)
            timer.join()
        self.assertIs(sys.unraisablehook, hook)
        self.assertGreater(trainer.step().step, 0)

    def test_log(self):
        lines = []
        runtime = ts.Runtime(threads=1, log=lambda level, line: lines.append((level, line)))
        ts.Tokenizer.train(["a b"], 5000, runtime=runtime)
        self.assertIn(ts.LogLevel.WARNING, [level for level, _ in lines])

        def refuse(level, line):
            raise LookupError(line)

        with self.assertRaises(LookupError):
            ts.Tokenizer.train(["a b"], 5000, runtime=ts.Runtime(threads=1, log=refuse))

    def test_a_stream_that_fails(self):
        data = bytes(fixture.new_model().save_memory())

        class Broken(io.BytesIO):
            def read(self, count=-1):
                raise ConnectionResetError("gone")

        self.assertEqual(ts.Model.open_stream(io.BytesIO(data)).parameters, fixture.new_model().parameters)
        with self.assertRaisesRegex(ConnectionResetError, "gone"):
            ts.Model.open_stream(Broken(data))
        with self.assertRaises(ts.FormatError):
            ts.Model.open_stream(io.BytesIO(data[:500]))


class Threads(WithFolder):
    def test_busy(self):
        trainer = fixture.new_trainer(self.folder, log_interval=1)
        seen = []

        def other():
            try:
                trainer.step()
            except ts.BusyError as error:
                seen.append(error)

        def progress(report):
            thread = threading.Thread(target=other)
            thread.start()
            thread.join()
            other()  # from within the call too
            trainer.close()  # does not pull the memory away from under the running call
            return True

        with self.assertRaises(ts.CancelledError):
            trainer.run(progress)
        self.assertEqual(len(seen), 2)
        self.assertTrue(trainer.closed)

    def test_a_model_is_shared(self):
        model, told = fixture.new_model(), {}

        def tell(seed):
            told[seed] = ts.Sampler(model, seed=seed % 3, max_tokens=30, ignore_end=True).tell("Once")

        threads = [threading.Thread(target=tell, args=(seed,)) for seed in range(9)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for seed in range(9):
            self.assertEqual(told[seed], told[seed % 3])


class Arguments(WithFolder):
    def test_ranges(self):
        tokenizer, model = fixture.tokenizer(), fixture.new_model()
        for call in (lambda: ts.Sampler(model, seed=-1), lambda: ts.Sampler(model, seed=2**64), lambda: ts.Sampler(model, top_k=2**32),
                     lambda: ts.Runtime(threads=-1), lambda: ts.Runtime(memory_limit=-5), lambda: ts.Tokenizer.train(["a"], 2**32 + 300),
                     lambda: fixture.new_trainer(self.folder, max_steps=-1), lambda: tokenizer.decode([-1]), lambda: tokenizer.decode([2**32]),
                     lambda: tokenizer.token(-1), lambda: model.logits([2**32 + 1]), lambda: ts.Model.new(tokenizer, fixture.shape(), seed=-1),
                     lambda: fixture.shape(width=2**32 + 16).parameters, lambda: ts.Model.open("x", context_length=-1)):
            with self.assertRaises(OverflowError):
                call()
        for call in (lambda: ts.Sampler(model, top_p=0.0), lambda: ts.Sampler(model, temperature=float("nan")), lambda: ts.Runtime(threads=257),
                     lambda: ts.Tokenizer.train(["a"], 256), lambda: tokenizer.decode([len(tokenizer)]), lambda: model.logits([]),
                     lambda: model.logits([0] * 33), lambda: model.logits([len(tokenizer)]), lambda: ts.Architecture.preset("no such"),
                     lambda: ts.Architecture.preset("laptop-1m\0x"), lambda: fixture.shape(heads=3).parameters,
                     lambda: fixture.shape(kind="rnn").parameters, lambda: ts.Sampler(model, context_full="explode"),
                     lambda: next(ts.Sampler(model)), lambda: ts.Model.open("a\0b"),
                     lambda: tokenizer.prune(100, fixture.write_stories(self.folder)), lambda: tokenizer.encode("\ud800")):
            with self.assertRaises(ValueError):
                call()
        for call in (lambda: ts.Sampler(model, top_k=1.5), lambda: ts.Sampler(model, heat=1), lambda: ts.Sampler(tokenizer), lambda: ts.Sampler(None),
                     lambda: fixture.new_trainer(self.folder, text_count=3), lambda: ts.Trainer(model, "laptop-1m", text="x"),
                     lambda: ts.Trainer(tokenizer, 5, text="x"), lambda: tokenizer.encode(5), lambda: tokenizer.decode("ab"),
                     lambda: tokenizer.decode(b"ab"), lambda: tokenizer.decode([1.0]), lambda: ts.Model.open(3.5),
                     lambda: ts.Tokenizer.train_files([None]), lambda: ts.Tokenizer(),
                     lambda: ts.Model(), lambda: ts.Model.open("x", runtime=model), lambda: ts.Sampler(model, reserved=1)):
            with self.assertRaises(TypeError):
                call()
        with self.assertRaises(IndexError):
            tokenizer.token(len(tokenizer))
        with self.assertRaises(IndexError):
            list(tokenizer.decode_stream([1, _c.TS_TOKENIZER_NONE]))

    def test_errors_name_what_is_wrong(self):
        with self.assertRaisesRegex(ts.InputOutputError, "nowhere.gguf") as caught:
            ts.Model.open(self.path("nowhere.gguf"))
        self.assertIsInstance(caught.exception, OSError)
        self.assertEqual(caught.exception.status, _c.TS_ERROR_IO)
        pathlib.Path(self.path("bad.gguf")).write_bytes(b"GGUF\x03\0\0\0" + b"\xff" * 100)
        with self.assertRaisesRegex(ts.Error, "bad.gguf"):
            ts.Model.open(self.path("bad.gguf"))
        with self.assertRaises(ts.InputOutputError):
            ts.Model.open(self.folder)
        with self.assertRaisesRegex(MemoryError, "."):
            ts.Model.new(fixture.tokenizer(), fixture.shape(width=512, layers=4), runtime=ts.Runtime(threads=1, memory_limit=100_000))
        with self.assertRaises(ts.LimitError):
            ts.Sampler(fixture.new_model()).start("word " * 500)

    def test_ids(self):
        tokenizer = fixture.tokenizer()
        ids = tokenizer.encode("Once upon a time")
        self.assertTrue(all(type(one) is int for one in ids))
        for form in (ids, tuple(ids), array.array("I", ids), array.array("q", ids), array.array("H", ids),
                     memoryview(array.array("I", ids)).toreadonly(), array.array("I", [9, *ids])[1:],
                     memoryview(array.array("I", [x for one in ids for x in (one, 0)]))[::2], range(5, 9)):
            expected = tokenizer.decode(list(form))
            self.assertEqual(tokenizer.decode(form), expected)
        self.assertEqual(tokenizer.decode([]), "")
        self.assertEqual(tokenizer.decode(array.array("I")), "")
        with self.assertRaises(OverflowError):
            tokenizer.decode(array.array("i", [-1]))
        with self.assertRaises(TypeError):
            tokenizer.decode(array.array("f", [1.0]))

    @unittest.skipIf(numpy is None, "no numpy")
    def test_numpy_ids(self):
        tokenizer, model = fixture.tokenizer(), fixture.new_model()
        ids = tokenizer.encode("Once upon a time", numpy=True)
        self.assertEqual((ids.dtype, ids.tolist()), (numpy.uint32, tokenizer.encode("Once upon a time")))
        frozen = ids.copy()
        frozen.flags.writeable = False
        for form in (ids, frozen, ids.astype(numpy.int64), ids.astype(">u4"), numpy.repeat(ids, 2)[::2], ids.astype(numpy.uint16)):
            self.assertEqual(tokenizer.decode(form), "Once upon a time")
        borrowed, count = _handle.ids_array(ids)
        self.assertEqual((ctypes.addressof(borrowed), count), (ids.ctypes.data, len(ids)))
        borrowed, count = _handle.ids_array(frozen)
        self.assertEqual((ctypes.addressof(borrowed), count), (frozen.ctypes.data, len(ids)))
        self.assertEqual(tokenizer.decode(numpy.array([], numpy.uint32)), "")
        for wrong, error in ((ids.astype(numpy.float32), TypeError), (ids.astype(bool), TypeError), (ids.astype(object), TypeError),
                             (ids.reshape(1, -1), ValueError), (numpy.array([-1]), OverflowError), (numpy.uint32(3), TypeError)):
            with self.assertRaises(error):
                tokenizer.decode(wrong)
        logits = model.logits(ids)
        self.assertEqual((logits.dtype, logits.shape, logits.flags.writeable), (numpy.float32, (len(ids), len(tokenizer)), True))
        for tensor in model.tensors().values():
            self.assertEqual(tensor.dtype, numpy.float32)
            with self.assertRaises(ValueError):
                tensor[...] = 0
            with self.assertRaises(ValueError):
                tensor.flags.writeable = True

    def test_no_library(self):
        code = "import sys; sys.path.insert(0, sys.argv[1]); import tinystories"
        for named, reason in (("/nowhere/libtinystories.so", "/nowhere/libtinystories.so: "), (__file__, "test_handles.py: "),
                              ("libm.so.6", "libm.so.6: it lacks ts_version_number and ")):
            done = subprocess.run([sys.executable, "-c", code, str(ROOT / "bindings" / "python")], capture_output=True, text=True, timeout=60,
                                  env={**os.environ, "TINYSTORIES_LIBRARY": named})
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("ImportError: no usable libtinystories; tried", done.stderr)
            self.assertIn(reason, done.stderr)

    def test_another_version(self):
        for version in ((_c.VERSION[0] + 1, 0), (_c.VERSION[0], 99)):
            with unittest.mock.patch.object(_c, "VERSION", version), self.assertRaisesRegex(OSError, "it is version .*, these bindings need "):
                _c._load_one(_c.library._name)


if __name__ == "__main__":
    unittest.main()
