"""Statistics of datasets through the bindings: numbers by hand, and compression as Python's own zlib does it."""
import os
import tempfile
import unittest
import zlib

import tinystories as ts

TEXT = "a b c d e f<|endoftext|>a b c d x<|endoftext|>He said: \"Don't.\""


def gzip_size(text):
    compressor = zlib.compressobj(6, zlib.DEFLATED, 31, 8)
    return len(compressor.compress(text) + compressor.flush())


class DatasetTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "stories.txt")
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(TEXT)
        self.other = os.path.join(folder.name, "other.jsonl")
        with ts.Generator(seed=1) as generator:
            generator.write(50, self.other)

    def test_numbers(self):
        stats = ts.dataset_stats(self.path)
        plain = "".join(story.strip() + "\n" for story in TEXT.split("<|endoftext|>")).encode()
        self.assertEqual({name: stats[name] for name in ("stories", "words", "distinct_words", "fourgrams", "distinct_fourgrams", "fourgrams_once")},
                         {"stories": 3, "words": 14, "distinct_words": 10, "fourgrams": 5, "distinct_fourgrams": 4, "fourgrams_once": 3})
        self.assertEqual(stats["words_per_story"], {"min": 3, "p5": 3, "median": 5, "p95": 6, "max": 6, "mean": 14 / 3})
        self.assertEqual((stats["once_share"], stats["once_occurrence_share"], stats["dialogue_share"]), (0.75, 0.6, 1 / 3))
        self.assertEqual((stats["text_bytes"], stats["gzip_bytes"]), (len(plain), gzip_size(plain)))
        self.assertEqual(stats["histogram"], [3] + [0] * 40)
        self.assertIsNone(stats["gzip_ratio"])

    def test_records_and_comparison(self):
        stats = ts.dataset_stats([self.other], against=self.path, runtime=ts.Runtime(threads=1))
        self.assertEqual((stats["stories"], stats["records"]), (50, 50))
        with ts.Generator(seed=1) as generator:
            features = [next(generator).feature_names for _ in range(50)]
        for name in ("Dialogue", "BadEnding", "MoralValue", "Twist", "Foreshadowing", "Conflict"):
            self.assertEqual(stats["features"][name], sum(name in one for one in features))
        self.assertEqual(stats["features"]["other"], 0)
        plain = "".join(story.strip() + "\n" for story in TEXT.split("<|endoftext|>")).encode()
        self.assertEqual((stats["compared_bytes"], stats["against_gzip_bytes"]), (len(plain), gzip_size(plain)))
        self.assertEqual(stats["gzip_ratio"], stats["compared_gzip_bytes"] / stats["against_gzip_bytes"])

    def test_progress_and_failures(self):
        calls = []
        ts.dataset_stats(self.path, progress=lambda done, total: calls.append((done, total)))
        self.assertEqual(calls[-1][0], calls[-1][1])
        with self.assertRaises(ts.CancelledError):
            ts.dataset_stats(self.path, progress=lambda done, total: True)
        with self.assertRaises(ts.InputOutputError):
            ts.dataset_stats("/nonexistent/stories.txt")
        with self.assertRaises(ts.InvalidArgumentError):
            ts.dataset_stats([])
        with self.assertRaises(ts.InvalidArgumentError):
            ts.dataset_stats(self.path, against="-")


if __name__ == "__main__":
    unittest.main()
