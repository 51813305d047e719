"""The report: what is read, what stands on the page, and that no text of a file is ever more than text. Without matplotlib and Jinja2 pages are skipped."""

import base64
import contextlib
import html.parser
import importlib.util
import io
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest
import unittest.mock
import xml.etree.ElementTree

from fixture import ROOT, new_model, write_stories
import tinystories as ts
from tinystories import _runs, _texts, report
from tinystories._handle import replace_file

TOOL = os.environ.get("TINYSTORIES_CLI")
DRAWING = all(importlib.util.find_spec(name) for name in ("matplotlib", "jinja2"))
EVIL = '</div><script>alert("1")</script><img src=x onerror=alert(1)> $x^{$ {{ 7 * 7 }} &amp; \ud800 \x00\x1b\x85\ufffe \u202e'


class Page(html.parser.HTMLParser):
    """All text of a page, its elements, and what does not belong there."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.text, self.elements, self.attributes, self.open = "", [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append(tag)
        self.attributes += [(tag, key, value or "") for key, value in attributes]
        if tag not in ("meta", "img", "rect"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if self.open and self.open[-1] == tag and tag not in ("meta", "img", "rect"):
            self.open.pop()

    def handle_endtag(self, tag):
        if tag != "rect":
            assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
            self.open.pop()

    def handle_data(self, data):
        self.text += data

    def pictures(self):
        """The plots, by what stands for them."""
        images = [dict((key, value) for tag, key, value in pair) for pair in zip(*[iter([one for one in self.attributes if one[0] == "img" and one[1] != "class"])] * 2)]
        return {image["alt"]: base64.b64decode(image["src"].partition(",")[2]).decode() for image in images}


def log_lines(count):
    for step in range(count):
        yield json.dumps({"event": "step", "step": step, "tokens": step * 100, "loss": 5 / (1 + step), "seconds": step / 2, "learning_rate": 1e-3, "gradient_norm": 1.0,
                          "tokens_per_second": 200.0, **({"valid_bits_per_byte": 3 / (1 + step)} if step % 10 == 9 else {})})


def head(layer, number, *kinds):
    return {"layer": layer, "head": number, "kinds": list(kinds), "previous": 0.1, "duplicate": 0, "induction": float("nan"), "first": 0, "focus": 0.9, "distance": 0.8}


RESULTS = {
    "judged": {"judge": "embedded", "confidence": 0.95, "language_text": EVIL, "all": {}, "cost": {"requests": 7, "prompt_tokens": EVIL},
        "comparisons": [{"left": EVIL, "right": "b", "grammar": {"prompts": 3, "wins": 2, "losses": 1, "difference": 0.5, "low": -0.1, "high": 1.1}}, EVIL], "models": [
        {"model": name, "records": 3, "scored_share": 1.0, "mean_words": 85.6, "outcomes": {"scored": 2, "missing": 1}, "ages": {"B": 2, "none": 0}, "suspicious": 4,
         "followed": {"words": {"mean": 0.25, "low": 0.125, "high": 0.5, "count": 2}, "sentence": EVIL, "summary": {"mean": None, "count": 0}}, "grades": {"grammar": {"mean": 6.5, "low": 6, "high": 7}, "plot": {"mean": None}}} for name in (EVIL, "b")],
        "completions": [{"model": "b", "prompt": "A dog " + EVIL, "completion": "sat.", "suspicion": ["order", EVIL], "words": EVIL, "followed": {"words": {"asked": 3, "found": 1}, "sentence": EVIL}, "judgments": [{"outcome": "scored", "grammar": 7.12, "age_group": "B", "assessment": "It is good. " + EVIL}, {"outcome": EVIL}]}]},
    "heads": {"tokens": 10, "heads": [head(0, 0, "previous", "distance"), head(0, 1, EVIL)],
              "attribution": {"token": EVIL, "logit": 3, "from_embedding": 1, "from_heads": 1.5, "from_neurons": 0.25, "from_biases": 0.25,
                              "heads": [{"layer": 0, "head": 1, "logit": 1.5}, EVIL], "neurons": [{"layer": EVIL, "neuron": 7, "logit": -0.5}]},
              "maps": {"tokens": [EVIL, " dog", "\n"], "weights": [[[[1], [0.5, 0.5], [0.1, 0.2, 0.7]], [[1], [1, 0], [None, "x", 1]]]]}},
    "neurons": {"tokens": 10, "layer": 0, "neurons": [{"layer": 0, "neuron": 3, "examples": [{"activation": 1.5, "at": 1, "tokens": ["the", EVIL, " ran"]}]}]},
    "told": {"prompt": "Once", "stories": [{"text": "Once " + EVIL}, {"text": 3}]},
    "stats": {"stories": 4, "words": 40, "histogram": [0, 3, 1], "words_per_story": {"mean": 10.0}, "dialogue_share": 0.65584, "gzip_share": 10**400,
              "openings": [{"text": "once upon a time", "stories": 3}, {"text": EVIL, "stories": EVIL}, EVIL]},
    "loss": {"nats_per_token": 1.5, "bits_per_byte": 0.9, "tokens": 100},
    "diversity": {"completions": 2, "words": 30, "endings": 0, "mean_nearest_f": 0.5, "evil": EVIL, "grams": [{"k": 1, "count": 10, "never": 4, "never_share": 0.4, "histogram": [4] + [0] * 11 + [6] + [0] * 8}, EVIL],
                  "items": [{"words": 15, "nearest_f": 0.5, "nearest_precision": 0.25, "copied_words": 5, "source_story": 3, "source": EVIL}, EVIL]},
    "what": {"answer": 42, "list": [1, 2], "evil " + EVIL: {"deep": [EVIL]}},
    "grid": {"models": [{"name": f"m{i}", "parameters": 10 ** (3 + i), "bits_per_byte": 2 / (i + 1)} for i in range(4)]},
    "short": {"study": "prompts", "judge": "rule", "models": [{"model": EVIL, "fact": {"right": 3, "partly": 1, "wrong": 4, "none": 2}, "all": EVIL}], "prompts": [
        {"kind": "fact", "prompt": EVIL, "completions": [{"model": EVIL, "text": EVIL, "mark": "right"}, {"model": "b", "text": None, "mark": EVIL}]}]},
    "duel": {"duel": EVIL, "left": EVIL, "right": "b", "share": 0.625, "low": 0.5, "high": 0.75, "prompts": 30, "wins": 20, "losses": 5, "sign_test_p": 0.004},
    "study": {"study": "grid", "confidence": 0.9, "judge": "embedded", "models": [
        {"name": f"m{i} {EVIL}", "depth": EVIL if i == 3 else i, "parameters": 10 ** (3 + i), "inner_parameters": None, "bits_per_byte": 2 / (i + 1), "grammar": 3 + i, "evil": [EVIL],
         "points": [{"compute": 10 ** (5 + i + j), "bits_per_byte": 3 / (i + j + 1)} for j in range(3)] + [{"compute": EVIL}, EVIL]} for i in range(4)],
        "laws": [{"x": "parameters", "factor": 3, "exponent": -0.234, "exponent_low": -0.3, "exponent_high": -0.2, "points": 4, "explained": 0.91}, {"x": EVIL}, EVIL]},
}


class ReportTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def make_run(self, name="a run", results=RESULTS, steps=40):
        run = self.folder / name
        run.mkdir()
        (run / "log.jsonl").write_text("\n".join(log_lines(steps)) + '\n[1]\n{"event": "st')
        for key, data in results.items():
            (run / f"{key}.json").write_text(json.dumps(data))
        return run

    def page(self, *arguments):
        out, errors = self.folder / "page.html", io.StringIO()
        with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
            self.assertEqual(report.main([*map(str, arguments), "-o", str(out)]), 0, errors.getvalue())
        self.assertEqual([name for name in os.listdir(self.folder) if name.startswith(".report")], [])
        text = out.read_text(encoding="utf-8")
        return Page(text), text

    # ---- reading ----

    def test_kinds(self):
        kinds = {name: _runs.kind_of(data) for name, data in RESULTS.items()}
        self.assertEqual(kinds, {"judged": "judge", "heads": "heads", "neurons": "neurons", "told": "samples", "stats": "data", "loss": "loss", "diversity": "diversity",
                                 "what": "other", "grid": "grid", "study": "grid", "short": "prompts", "duel": "duel"})
        self.assertIsNone(_runs.kind_of([1]))
        self.assertEqual(_runs.kind_of({"stories": 3}), "other")
        self.assertEqual(_runs.kind_of({"words": 10879, "copied": 3, "diversity": 4}), "other")

    def test_a_folder_is_read(self):
        problems = []
        run = self.make_run()
        (run / "broken.json").write_text("{")
        (run / "deep.json").write_text("[" * 100000)
        (run / "list.json").write_text("[]")
        for name in ("tokenizer.json", "config.json", "vocab.json", "added_tokens.json", "preprocessor_config.json"):
            (run / name).write_text('{"words": 10879, "novel": 3}')
        found = report.read_run(run, problems)
        self.assertEqual(len(found.log), 40)
        self.assertEqual(len(found.results), len(RESULTS))
        self.assertEqual(sorted(problem.split(":")[0].rsplit("/", 1)[1] for problem in problems), ["broken.json", "deep.json", "list.json", "log.jsonl"])
        self.assertTrue(any(problem.endswith("log.jsonl: 1 of 42 lines are no JSON objects") for problem in problems), problems)
        line = report.summary(found)
        self.assertEqual((line["step"], line["tokens"], line["loss"]), (39, 3900, 0.9))
        self.assertAlmostEqual(line["best_valid"], 3 / 40)

    def test_runs_of_one_name_are_told_apart(self):
        def names(*paths):
            runs = [_runs.Run(pathlib.Path(path).stem) for path in paths]
            _runs.tell_apart(runs, paths)
            return [run.name for run in runs]

        self.assertEqual(names("/a/run", "/b/other"), ["run", "other"])
        self.assertEqual(names("/a/x/run", "/b/x/run", "/a/y/run", "/c"), ["a/x/run", "b/x/run", "y/run", "c"])
        self.assertEqual(names("/a/loss.json", "/a/loss", "/loss.json"), ["a/loss.json", "loss", "loss.json"])
        self.assertEqual(names("/a/run", "/a/run"), ["a/run", "a/run"])
        (self.folder / "a").mkdir()
        (self.folder / "last").symlink_to("a")
        self.assertEqual([report.read_run(self.folder / name, []).name for name in ("a", "last")], ["a", "last"])

    def test_stories_of_the_log(self):
        run = self.make_run(results={})
        with open(run / "log.jsonl", "a", encoding="utf-8") as log:
            log.write("\n")
            for step in range(0, 500, 10):
                log.write(json.dumps({"event": "story", "step": step, "text": f"{EVIL} of {step}"}) + "\n")
                log.write(json.dumps({"event": "story", "step": step, "text": "the second one"}) + "\n")
            log.write(json.dumps({"event": "story", "step": "x", "text": "y"}) + "\n" + json.dumps({"event": "story", "step": 3, "text": 4}) + "\n")
        stories = report.read_run(run, []).of("progress")[0].data["stories"]
        self.assertEqual([story["step"] for story in stories][::_runs.SHOWN_TOLD - 1], [0, 490])
        self.assertEqual(len(stories), _runs.SHOWN_TOLD)
        if not DRAWING:
            return
        page, _ = self.page(run)
        self.assertIn("Stories while it trained", page.text)
        self.assertIn(" of 490", page.text)
        self.assertNotIn("the second one", page.text)

    def test_lines_of_a_log_are_read_whole(self):
        log = self.folder / "log.jsonl"
        log.write_bytes('{"step": 1, "text": "\u2028 \x85 a line"}\r\n'.encode() + b'{"step": 2, "text": "\xff\xc3("}\n{"step": 3, "loss": 1' + b"0" * 400 + b"}\n")
        self.assertEqual([(line["step"], line.get("text")) for line in _runs.read_log(log, [])], [(1, "\u2028 \x85 a line"), (2, "\ufffd\ufffd("), (3, None)])
        self.assertEqual(_texts.column(_runs.read_log(log, []), "step", "loss"), ([], []))

    def test_a_log_that_cannot_be_read_is_told(self):
        run, problems = self.make_run(), []
        with open(run / "log.jsonl", "a", encoding="utf-8") as log:
            log.write("\n" + '{"step":' * 100000 + "\n\n")
        self.assertEqual(len(_runs.read_log(run / "log.jsonl", problems)), 40)
        self.assertEqual(problems, [f"{run / 'log.jsonl'}: 3 of 45 lines are no JSON objects"])
        with open(run / "log.jsonl", "ab") as log:
            log.truncate(_runs.LARGEST + 1)
        problems = []
        found = report.read_run(run, problems)
        self.assertEqual((found.log, len(found.results)), ([], len(RESULTS)))
        self.assertEqual(problems, [f"{run / 'log.jsonl'}: larger than 256 MiB"])
        self.assertEqual(report.read_run(run / "log.jsonl", problems).log, [])

    def test_a_point_that_a_log_repeats_is_one(self):
        log = [{"step": 1, "loss": 2}, {"step": 1, "loss": 2, "event": "valid"}, {"step": 2, "loss": 2}, {"step": 2, "loss": float("nan")}]
        self.assertEqual(_texts.column(log, "step", "loss"), ([1, 2], [2, 2]))

    def test_values_for_people(self):
        self.assertEqual([_texts.plain(value) for value in (None, True, 1234567, 0.123456, 1234.5, float("nan"), "x")], ["–", "yes", "1,234,567", "0.1235", "1,234", "–", "x"])
        self.assertEqual(_texts.flat({"a_b": {"c": [1, 2]}, "d": [{}]}), [("a b c", "1, 2"), ("d", "1 entries")])
        self.assertEqual([_texts.share(value) for value in (0.65584, 0, None, EVIL)], ["65.6 %", "0.0 %", "–", "–"])
        self.assertEqual([_texts.fixed(value, 2) for value in (1, 0.125, float("nan"), EVIL)], ["1.00", "0.12", "–", "–"])
        self.assertEqual([_texts.visible(token) for token in (" a\n", "", "\u202eb", "\u05e9")], ["·a⏎", "∅", "‹202E›b", "\u05e9"])

    def test_nothing_is_imported_before_it_is_needed(self):
        code = "import sys, tinystories, tinystories.report; sys.exit(any(name in sys.modules for name in ('matplotlib', 'jinja2')))"
        self.assertEqual(subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT / "bindings" / "python")}, check=False).returncode, 0)

    def test_completions_of_all_models_are_shown(self):
        told = [{"model": model, "completion": str(n)} for model in "abc" for n in range(30)]
        self.assertEqual([(one["model"], one["completion"]) for one in _texts.spread(told, 7)], [(model, n) for model in "abc" for n in "01"])
        self.assertEqual(_texts.spread([EVIL, None], 5), [EVIL, None])

    # ---- pages ----

    @unittest.skipUnless(DRAWING, "skipped: no matplotlib and Jinja2")
    def test_every_kind_has_its_section(self):
        page, text = self.page(self.make_run())
        for wanted in ("Stories", "Grades", "Diversity", "Heads", "Neurons", "Data", "Other results", "Loss on texts", "grammar 7.1 · age B", "layer 0, neuron 3", "looks most at the token before: 10 % of its attention"):
            self.assertIn(wanted, page.text)
        self.assertIn("built-in rules", page.text)
        for wanted in ("not scored: 1 missing. Age groups: B 2.", "+0.50 -0.10 to +1.10", "2 won, 1 lost", "Cost: 7 requests", "It is good.", "1-grams that the training text never has", "Longest copied runs"):
            self.assertIn(wanted, page.text)
        self.assertTrue(any(key == "alt" and "never: 1-grams 40.0 %" in value for _, key, value in page.attributes))
        self.assertIn("3 + 1 of 10", page.text)
        self.assertIn("62.5 % of the verdicts", page.text)
        self.assertIn("Intervals of 90 % by the covariance", page.text)
        self.assertTrue(any("power law with exponent -0.234 (-0.300 to -0.200)" in value for _, key, value in page.attributes if key == "alt"))
        for wanted in ("stories with speech65.6 %", "of them that gzip needs–", "How stories begin", "once upon a time3"):
            self.assertIn(wanted, page.text)
        self.assertGreaterEqual(page.elements.count("img"), 8)
        names = [value for tag, key, value in page.attributes if tag == "svg" and key == "aria-label"]
        self.assertEqual(names, ["attention from 0.02, light, to 1, dark; less is left white", *[f"attention map of layer 0, head {head}" for head in (0, 0, 1)]])
        self.assertTrue(all(value for tag, key, value in page.attributes if key == "alt"))
        self.assertEqual(page.elements.count("mark"), 1)
        self.assertIn("·dog looks at ·dog: 0.50", page.text)
        self.assertEqual(page.open, [])

    @unittest.skipUnless(DRAWING, "skipped: no matplotlib and Jinja2")
    def test_texts_are_texts(self):
        page, text = self.page(self.make_run("a <b>run $x_{ & _y"), self.make_run("_second", {}), "--title", EVIL.replace("\0", ""))
        self.assertFalse({"script", "iframe", "object", "link", "form"} & set(page.elements))
        for tag, key, value in page.attributes:
            self.assertFalse(key.startswith("on"), (tag, key))
            if key in ("src", "href"):
                self.assertTrue(value.startswith(("data:image/svg+xml;base64,", "#")), value[:50])
        for refused in ("\0", "\x1b", "\x85", "\ud800", "\ufffe", "49 &amp;"):
            self.assertNotIn(refused, text)
        self.assertGreaterEqual(page.text.count('<script>alert("1")</script>'), 6)
        self.assertNotIn("http:", text)
        self.assertNotIn("https:", text)

    @unittest.skipUnless(DRAWING, "skipped: no matplotlib and Jinja2")
    def test_heads_of_tables_stand_on_every_printed_page(self):
        _, text = self.page(self.make_run())
        first_rows = re.findall(r"<table[^>]*>\s*(?:<tbody>)?\s*<tr>.*?</tr>", text, re.S)
        self.assertEqual([row for row in first_rows if "<td" not in row and "rowgroup" not in row], [])
        self.assertGreaterEqual(text.count("<thead>"), 10)
        printed = text.partition("@media print")[2].partition("</style>")[0]
        self.assertIn("thead { display: table-header-group; }", printed)
        self.assertRegex(printed, r"\btr, [^{}]*\{ break-inside: avoid; \}")

    @unittest.skipUnless(DRAWING, "skipped: no matplotlib and Jinja2")
    def test_a_text_turns_no_other_around(self):
        page, text = self.page(self.make_run(), "--title", "\u202edetrever\u2066")
        self.assertIn("\u202e", EVIL)
        self.assertNotRegex(text, "[\u202a-\u202e\u2066-\u2069]")
        self.assertGreaterEqual(sum((key, value) == ("dir", "auto") for _, key, value in page.attributes), 4)
        self.assertIn("‹202E›", page.text)

    @unittest.skipUnless(DRAWING, "skipped: no matplotlib and Jinja2")
    def test_plots_say_what_their_colours_are(self):
        page, _ = self.page(self.make_run())
        pictures = page.pictures()
        compute = next(picture for name, picture in pictures.items() if name.startswith("bits per byte by compute"))
        for wanted in ("depth 0", "depth 1", "depth 2", "another depth", "best for its compute", "floating point operations"):
            self.assertIn(wanted, compute)
        self.assertIn(">mean<", next(picture for name, picture in pictures.items() if "shared with the nearest completion" in name))
        self.assertIn(">and more<", next(picture for name, picture in pictures.items() if name.startswith("stories by words")))

    @unittest.skipUnless(DRAWING, "skipped: no matplotlib and Jinja2")
    def test_names_of_runs_are_no_markup_of_pictures(self):
        names = ("font: 1px x", 'a style="font: 1px x')
        page, _ = self.page(*(self.make_run(name, {}) for name in names))
        for picture in page.pictures().values():
            texts = ["".join(element.itertext()) for element in xml.etree.ElementTree.fromstring(picture).iter("{http://www.w3.org/2000/svg}text")]
            self.assertEqual([name for name in names if name in texts], list(names), texts)
            self.assertIn(" system-ui, ", picture)
            self.assertNotIn("DejaVu", picture)

    @unittest.skipUnless(DRAWING, "skipped: no matplotlib and Jinja2")
    def test_pictures_of_grades_say_whose_they_are(self):
        chat = {"judge": "chat", "judge_model": "big-1"}
        for data, judge in ((RESULTS, "the embedded judge"), ({name: {**RESULTS[name], **chat} for name in ("judged", "study")}, "big-1")):
            pictures = self.page(self.make_run(judge, {name: data[name] for name in ("judged", "study")}))[0].pictures()
            for start in ("grades by model", "grades by loss"):
                name, picture = next((name, picture) for name, picture in pictures.items() if name.startswith(start))
                self.assertIn(f"graded by {judge}", name)
                self.assertIn(f"graded by {judge}<", picture)
        pictures = self.page(self.make_run("no judge", {"study": {**RESULTS["study"], "judge": None}}))[0].pictures()
        self.assertFalse(any("grade" in name for name in pictures))
        page, _ = self.page(*(self.make_run(name, {"judged": {**RESULTS["judged"], **chat}}) for name in ("one", "two")))
        self.assertTrue(any("graded by chat, big-1" in name for name in page.pictures()), list(page.pictures()))
        self.assertIn("What the models were given is bold.", page.text)

    @unittest.skipUnless(DRAWING, "skipped: no matplotlib and Jinja2")
    def test_what_is_not_known_is_not_zero(self):
        def shown(**changes):
            judged = {**RESULTS["judged"], "models": [{**RESULTS["judged"]["models"][1], "scored_share": changes.get("share")}], "confidence": changes.get("confidence")}
            heads = {**RESULTS["heads"], "attribution": {**RESULTS["heads"]["attribution"], "logit": changes.get("logit")}}
            study = {**RESULTS["study"], "confidence": changes.get("confidence")}
            page, _ = self.page(self.make_run(f"a run of {len(changes)}", {"judged": judged, "heads": heads, "study": study}))
            return page.text

        known, unknown = shown(share=0.5, confidence=0.9, logit=3), shown()
        for wanted in ("50.0 %", "Intervals of 90 % by resampling", "Intervals of 90 % by the covariance", "Who is for the next token"):
            self.assertIn(wanted, known)
            self.assertNotIn(wanted, unknown)
        for wanted in ("Intervals by resampling", "Intervals by the covariance"):
            self.assertIn(wanted, unknown)
        self.assertNotRegex(unknown, r"\b0(\.0)? %")

    @unittest.skipUnless(DRAWING, "skipped: no matplotlib and Jinja2")
    def test_what_has_no_room_is_told(self):
        results = {"told": ("stories", {}, {"text": "a story"}, _runs.SHOWN_STORIES), "neurons": ("neurons", {}, RESULTS["neurons"]["neurons"][0], _runs.SHOWN_NEURONS),
                   "short": ("prompts", RESULTS["short"], RESULTS["short"]["prompts"][0], _runs.SHOWN_PROMPTS),
                   "judged": ("completions", RESULTS["judged"], {"completion": "a story"}, _runs.SHOWN_COMPLETIONS)}
        for more in (0, 3):
            page, _ = self.page(self.make_run(f"run {more}", {name: {**data, key: [one] * (limit + more)} for name, (key, data, one, limit) in results.items()}))
            self.assertEqual(page.text.count("3 more are in the file."), len(results) if more else 0)
            self.assertEqual(page.text.count("more are in the file"), len(results) if more else 0)

    @unittest.skipUnless(DRAWING, "skipped: no matplotlib and Jinja2")
    def test_numbers_of_axes_have_room(self):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from tinystories import _plots

        both = [(low, high, True) for low, high in ((1.57e9, 6.2e10), (2.1e4, 1.7e5), (2.4e5, 1.4e6), (1e6, 1.1e6), (1e3, 3.3e7), (900, 1e12))]
        for low, high, logarithmic in both + [(1, high, False) for high in (12, 636, 13639, 117000, 2.5e6)]:
            figure, axes = _plots._figure()
            canvas = FigureCanvasAgg(figure)
            axes.plot([low, high], [2.5, 0.9], "o")
            if logarithmic:
                _plots._logarithmic(axes, "x", "bits per byte")
            else:
                _plots._steps(axes)
            canvas.draw()
            for axis, side in ((axes.xaxis, 0), (axes.yaxis, 1)):
                view = sorted(axis.get_view_interval())
                shown = [tick.label1 for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()] if view[0] <= tick.get_loc() <= view[1] and tick.label1.get_text()]
                self.assertGreaterEqual(len(shown), 3, (low, high))
                spans = sorted(label.get_window_extent().get_points()[:, side].tolist() for label in shown)
                for (_, end), (begin, _) in zip(spans, spans[1:]):
                    self.assertLess(end + 3, begin, [label.get_text() for label in shown])

    @unittest.skipUnless(DRAWING, "skipped: no matplotlib and Jinja2")
    def test_running_means_follow_what_falls(self):
        from tinystories import _plots

        self.assertEqual(_plots._smooth([2.0] * 500), [2.0] * 500)
        self.assertEqual(_plots._smooth([3.0, 1.0, 2.0]), [3.0, 1.0, 2.0])
        falling = [8 / (1 + step) + 0.1 * (-1) ** step for step in range(3000)]
        smooth = _plots._smooth(falling)
        self.assertAlmostEqual(smooth[0], falling[0])
        self.assertAlmostEqual(smooth[-1], falling[-1])
        self.assertTrue(all(abs(one - 8 / (1 + step)) < 0.2 for step, one in enumerate(smooth)))
        self.assertTrue(all(abs(one - 8 / (1 + step)) < 0.02 for step, one in enumerate(smooth[200:2950], 200)))
        self.assertIsNone(_plots.scaling([{"name": "a", "n": 5, "loss": 2}, {"name": "b", "n": 5, "loss": 1}], "n", "loss", "n", "loss"))

    @unittest.skipUnless(DRAWING, "skipped: no matplotlib and Jinja2")
    def test_several_runs_and_little(self):
        runs = [self.make_run(f"run {index}", {"loss": {"nats_per_token": 1.0, "bits_per_byte": 1.0 / (index + 1)}}) for index in range(3)]
        empty = self.folder / "empty"
        empty.mkdir()
        page, _ = self.page(*runs, empty)
        for index in range(3):
            self.assertIn(f"run {index}", page.text)
        with contextlib.redirect_stderr(io.StringIO()) as errors:
            self.assertEqual(report.main([str(empty), "-o", str(self.folder / "none.html")]), 1)
        self.assertIn("the page would be empty", errors.getvalue())
        self.assertFalse((self.folder / "none.html").exists())
        for broken in ({"heads": [1, {}]}, {"heads": [], "maps": 3}, {"neurons": [{}]}, {"neurons": [3]}, {"stories": ["x", None]}, {"judge": 1, "all": {}, "completions": [{}]},
                       {"judge": 1, "all": {"grades": {"grammar": 3}}, "models": [1], "completions": [3]}, {"histogram": ["x"], "stories": 1, "words": 1}, {"models": [1, {}]}):
            (empty / "x.json").write_text(json.dumps(broken))
            self.page(empty)

    @unittest.skipUnless(DRAWING, "skipped: no matplotlib and Jinja2")
    def test_a_model_is_looked_into(self):
        run = self.make_run(results={})
        new_model(layers=2, context_length=64).save(run / "model.gguf")
        page, _ = self.page(run, "--text", write_stories(self.folder), "--tokens", "300", "--quiet")
        for wanted in ("Stories", "Heads", "Neurons", "llama, 2 layers of 16", "layer 0, neuron"):
            self.assertIn(wanted, page.text)
        self.assertGreater(page.elements.count("svg"), 3)
        (run / "model.gguf").write_bytes(b"GGUF")
        page, _ = self.page(run)
        self.assertIn("Not on this page", page.text)

    @unittest.skipUnless(DRAWING, "skipped: no matplotlib and Jinja2")
    def test_instructions_suspicion_and_attribution_are_shown(self):
        page, _ = self.page(self.make_run("one", {"judged": RESULTS["judged"], "heads": RESULTS["heads"]}))
        for text in ("What was followed of instructions", "25 %", "12–50", "words 1 of 3", "speaks to the judge? order", "which lowers no grade: 4", "Who is for the next token"):
            self.assertIn(text, page.text)

    @unittest.skipUnless(DRAWING, "skipped: no matplotlib and Jinja2")
    def test_models_of_one_judge_stand_together(self):
        judged = RESULTS["judged"]
        runs = [self.make_run(name, {"judged": judged}) for name in ("one", "two")]
        page, _ = self.page(*runs)
        self.assertIn("Graded by the same judge", page.text)
        other = self.make_run("other", {"judged": {**judged, "judge": "chat"}})
        page, _ = self.page(runs[0], other)
        self.assertNotIn("Graded by the same judge", page.text)

    @unittest.skipUnless(DRAWING, "skipped: no matplotlib and Jinja2")
    def test_no_file_takes_the_page(self):
        for broken, together, table in (({"models": 5}, True, True), ({"models": [{"grades": {"grammar": 3}}]}, True, False),
                                        ({"models": [{"grades": {"grammar": {"mean": 6, "low": 7, "high": 5}}}] * 2}, False, False)):
            judged = {"judge": "chat", "all": {}, "completions": [], **broken}
            page, _ = self.page(self.make_run(str(len(os.listdir(self.folder))), {"one": judged, "two": judged, "loss": RESULTS["loss"]}))
            self.assertIn("Loss on texts", page.text)
            self.assertEqual(("models of one judge: " in page.text, "one: not as judge, so it is a table: " in page.text), (together, table), broken)
        with unittest.mock.patch.object(report, "flat", side_effect=RecursionError("too deep")):
            page, _ = self.page(self.make_run(results={"what": RESULTS["what"], "loss": RESULTS["loss"]}))
        self.assertIn("Loss on texts", page.text)
        self.assertIn("a run, what: too deep", page.text)

    @unittest.skipUnless(DRAWING, "skipped: no matplotlib and Jinja2")
    def test_a_folder_of_hugging_face_is_a_model(self):
        new_model(layers=1, context_length=64).save(self.folder / "hf", format=ts.ModelFormat.HUGGINGFACE)
        page, _ = self.page(self.folder / "hf", "--text", write_stories(self.folder), "--tokens", "200", "--quiet")
        self.assertIn("llama, 1 layers of 16", page.text)

    @unittest.skipUnless(DRAWING and TOOL, "skipped: no matplotlib and Jinja2, or TINYSTORIES_CLI is not set")
    def test_what_the_command_line_writes_is_drawn(self):
        text, run = write_stories(self.folder), self.folder / "told"
        run.mkdir()
        completions = self.folder / "c.jsonl"
        completions.write_text("".join(json.dumps({"prompt": "One day", "completion": f" a dog number {n} saw a big ball and ran home.", "model": f"m{n % 2}"}) + "\n" for n in range(6)))
        for name, arguments in (("diversity", ["evaluate", "diversity", "--completions", completions, "--text", text]),
                                ("judge", ["evaluate", "judge", "--completions", completions]), ("data", ["dataset", "stats", text])):
            done = subprocess.run([TOOL, *map(str, arguments), "--json", "--quiet"], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            (run / f"{name}.json").write_text(done.stdout)
        page, _ = self.page(run)
        alternatives = [value for _, key, value in page.attributes if key == "alt"]
        for wanted in ("never: 1-grams", "completions by r: shared with the nearest completion", "completions by h: shared", "grades by model", "stories by words of a story"):
            self.assertTrue(any(wanted in value for value in alternatives), (wanted, alternatives))
        self.assertIn("The nearest story", page.text)
        self.assertIn("Two by two", page.text)
        self.assertNotIn("Not on this page", page.text)

    @unittest.skipUnless(DRAWING and TOOL, "skipped: no matplotlib and Jinja2, or TINYSTORIES_CLI is not set")
    def test_the_command_line_hands_its_options_over(self):
        run, paths = self.make_run(results={"loss": RESULTS["loss"]}), os.pathsep.join(filter(None, [str(ROOT / "bindings" / "python"), os.environ.get("PYTHONPATH")]))
        new_model(layers=1, context_length=64).save(run / "model.gguf")
        (run / "log.jsonl").write_text('{"step": 1, "loss": 2}\n')
        text = write_stories(self.folder)

        def made(*arguments, name="page.html", told=""):
            done = subprocess.run([os.path.abspath(TOOL), "report", run, "-o", name, "--json", "--quiet", *arguments], capture_output=True, text=True, cwd=self.folder,
                                  env={**os.environ, "PYTHONPATH": paths}, check=False)
            self.assertEqual((done.returncode, done.stderr), (0, told))
            return json.loads(done.stdout), Page((self.folder / name).read_text(encoding="utf-8"))

        for module in ("random", "json", "jinja2", "matplotlib", "tinystories"):
            (self.folder / f"{module}.py").write_text("raise SystemExit('a module of the current folder')")
        found, page = made("--no-model", "--title", "-draft", "--tokens", str(2**64 - 1), name="-x.html")
        self.assertEqual((found["file"], found["results"], found["problems"]), ("-x.html", 1, []))
        self.assertIn("-draft", page.text)
        made("--no-model", "--verbose", told=f"{run}: 1 lines of its log\n{run}: loss: loss\n")
        found, page = made("--text", text, "--tokens", "300", "--threads", "2")
        self.assertEqual((found["results"], found["problems"]), (4, []))
        self.assertIn("layer 0, neuron", page.text)

    @unittest.skipUnless(DRAWING, "skipped: no matplotlib and Jinja2")
    def test_failures_leave_the_old_page(self):
        (self.folder / "page.html").write_text("old")
        for arguments in ([str(self.folder / "none")], [str(self.folder / "none.json")]):
            with contextlib.redirect_stderr(io.StringIO()) as errors:
                self.assertEqual(report.main([*arguments, "-o", str(self.folder / "page.html")]), 1)
            self.assertIn("none", errors.getvalue())
        text = write_stories(self.folder)
        (self.folder / "broken.json").write_text("{")
        (self.folder / "broken.gguf").write_bytes(b"GGUF")
        new_model().save(self.folder / "model.gguf")
        self.make_run()
        for arguments, told in ((["broken.json"], "Expecting property name"), (["broken.gguf", "--text", text], "broken.gguf: "), (["model.gguf", "--no-model"], "model.gguf: no "),
                                (["a run", "--text", str(self.folder / "none.txt")], "none.txt"), (["a run", "--text", str(self.folder / "none*.txt")], "none*.txt")):
            with contextlib.redirect_stderr(io.StringIO()) as errors:
                self.assertEqual(report.main([str(self.folder / arguments[0]), *arguments[1:], "--quiet", "-o", str(self.folder / "page.html")]), 1, arguments)
            self.assertIn(told, errors.getvalue())
            self.assertEqual(len(errors.getvalue().splitlines()), 1, errors.getvalue())
        self.assertEqual((self.folder / "page.html").read_text(), "old")

    @unittest.skipUnless(DRAWING, "skipped: no matplotlib and Jinja2")
    def test_texts_without_a_model_are_told(self):
        run, text = self.make_run(), write_stories(self.folder)
        for more, told in (([], False), (["--text", text], True), (["--text", self.folder / "*.txt"], True)):
            page, _ = self.page(run, *more)
            self.assertEqual("--text is not read" in page.text, told)

    @unittest.skipUnless(DRAWING, "skipped: no matplotlib and Jinja2")
    def test_names_steer_no_terminal(self):
        page = os.fsencode(self.folder) + b"/\xff.html"
        problem = self.make_run("\x1b[31m\x9b \u202e", {"loss": RESULTS["loss"]})
        (problem / "broken.json").write_text("{")
        done = subprocess.run([sys.executable, "-m", "tinystories.report", problem, "-o", page], capture_output=True, check=False,
                              env={**os.environ, "PYTHONPATH": str(ROOT / "bindings" / "python"), "PYTHONIOENCODING": "utf-8:strict"})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(os.path.exists(page))
        self.assertEqual(done.stdout, os.fsencode(self.folder) + b"/\\udcff.html\n")
        self.assertIn(r"warning: ", done.stderr.decode())
        self.assertIn(r"\x1b[31m\x9b \u202e/broken.json: ", done.stderr.decode())

    @unittest.skipUnless(DRAWING, "skipped: no matplotlib and Jinja2")
    def test_interrupts_and_numbers_out_of_range_are_told(self):
        run = self.make_run()
        with unittest.mock.patch.object(report, "read_run", side_effect=KeyboardInterrupt), contextlib.redirect_stderr(io.StringIO()) as errors:
            self.assertEqual(report.main([str(run), "-o", str(self.folder / "page.html")]), 1)
        self.assertEqual(errors.getvalue(), "tinystories: interrupted, nothing was written\n")
        for option, value in (("--threads", "-1"), ("--threads", "257"), ("--tokens", "-1"), ("--tokens", "0"), ("--tokens", str(2**64))):
            with contextlib.redirect_stderr(io.StringIO()) as errors, self.assertRaises(SystemExit):
                report.main([str(run), "-o", str(self.folder / "page.html"), option, value])
            self.assertIn(f"{option} is {value}, expected ", errors.getvalue())

    # ---- the file ----

    def test_a_page_is_a_file_like_others(self):
        before = os.umask(0o027)
        self.addCleanup(os.umask, before)
        page = self.folder / "page.html"
        replace_file(str(page), "one")
        self.assertEqual(page.stat().st_mode & 0o777, 0o640)
        page.chmod(0o604)
        replace_file(str(page), "two")
        self.assertEqual((page.read_text(), page.stat().st_mode & 0o777), ("two", 0o604))
        self.assertEqual(os.umask(0o027), 0o027)
        self.assertEqual(os.listdir(self.folder), ["page.html"])

    def test_links_and_pipes_stay(self):
        page, link, pipe = (self.folder / name for name in ("page.html", "link.html", "pipe"))
        page.write_text("old")
        link.symlink_to("page.html")
        replace_file(str(link), "new")
        self.assertEqual((link.is_symlink(), page.read_text()), (True, "new"))
        os.mkfifo(pipe)
        reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        report.check_out(str(pipe))
        replace_file(str(pipe), "a page")
        self.assertEqual((os.read(reader, 100), pipe.is_fifo()), (b"a page", True))

    @unittest.skipUnless(DRAWING, "skipped: no matplotlib and Jinja2")
    def test_a_page_that_cannot_be_written_is_refused_before_any_work(self):
        run = self.make_run(results={})
        (run / "model.gguf").write_bytes(b"GGUF")
        for out in (self.folder / "none" / "page.html", run, run / "log.jsonl" / "page.html"):
            with contextlib.redirect_stderr(io.StringIO()) as errors:
                self.assertEqual(report.main([str(run), "-o", str(out)]), 1)
            self.assertEqual(len(errors.getvalue().splitlines()), 1, errors.getvalue())
            self.assertIn(f"'{out}'", errors.getvalue())
            with self.assertRaises(OSError) as refused:
                replace_file(str(out), "page")
            self.assertEqual(refused.exception.filename, str(out))


if __name__ == "__main__":
    unittest.main()
