"""The generator through the bindings: stories, their records, files."""
import itertools
import json
import os
import tempfile
import unittest

import tinystories as ts


class GeneratorTest(unittest.TestCase):
    def test_stories_are_functions_of_seed_and_index(self):
        with ts.Generator(seed=5) as one, ts.Generator(seed=5) as other:
            first = [next(one) for _ in range(20)]
            other.seek(7)
            self.assertEqual(next(other).story, first[7].story)
            self.assertEqual(len({story.story for story in first}), 20)
            for story in first:
                self.assertEqual(len(story.words), 3)
                self.assertTrue(story.summary)
                self.assertEqual(story.source, "embedded")
                if ts.Feature.DIALOGUE in story.features:
                    self.assertIn('"', story.story)

    def test_files(self):
        with tempfile.TemporaryDirectory() as folder, ts.Generator(seed=1) as generator:
            path = os.path.join(folder, "stories.jsonl")
            generator.write(50, path)
            generator.seek(0)
            with open(path) as file:
                records = [json.loads(line) for line in file]
            self.assertEqual([record["story"] for record in records], [next(generator).story for _ in range(50)])
            self.assertEqual(list(records[0]), ["story", "instruction", "summary", "source", "seed", "index"])

    def test_a_callback_stops_and_leaves_nothing(self):
        with tempfile.TemporaryDirectory() as folder, ts.Generator() as generator:
            def stop(done, total):
                raise KeyError("enough")
            with self.assertRaises(KeyError):
                generator.write(5000, os.path.join(folder, "stories.txt"), progress=stop)
            self.assertEqual(os.listdir(folder), [])

    def test_names_and_plots(self):
        with ts.Generator(hero_name="Lily", friend_name="Tom", plots=1) as generator:
            for story in itertools.islice(generator, 50):
                self.assertIn("Lily", story.story)
                self.assertIn("gets stuck in a tree", story.summary)
        for wrong, named in (({"hero_name": "Beelzebub"}, "hero_name is 'Beelzebub'"), ({"hero_name": "Lily", "friend_name": "Lily"}, "friend_name")):
            with self.assertRaisesRegex(ts.InvalidArgumentError, named):
                ts.Generator(**wrong)

    def test_wrong_vocabulary(self):
        with self.assertRaises(ts.InputOutputError):
            ts.Generator(vocabulary="/nonexistent/words.txt")


if __name__ == "__main__":
    unittest.main()
