"""The options of `tinystories train` that change what is learned."""

import json
import unittest

import test_cli


class TrainOptionsTest(test_cli.CommandLineTest):
    def result(self, *arguments):
        return json.loads(self.must("train", "--text", "stories.txt", *test_cli.SMALL, "--steps", "15", "--seed", "1", "--out", "out.gguf", "--json", "--quiet", *arguments))

    def test_options_change_the_run(self):
        plain = self.result()
        packed = self.result("--packing", "stories")
        self.assertNotEqual(plain["nats_per_token"], packed["nats_per_token"])
        averaged = self.result("--average", "0.9")
        self.assertEqual(plain["nats_per_token"], averaged["nats_per_token"])
        self.assertNotEqual(plain["valid_nats_per_token"], averaged["valid_nats_per_token"])
        self.assertEqual(plain["valid_nats_per_token"], self.result("--average", "0.9", "--use-average", "0")["valid_nats_per_token"])


if __name__ == "__main__":
    unittest.main()
