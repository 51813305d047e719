#!/usr/bin/env python3
"""Cleans files of stories and makes TinyStories-Instruct of what is left: clean.py OUT INSTRUCT STORIES..."""
import sys

import tinystories as ts

if len(sys.argv) < 4:
    print(__doc__, file=sys.stderr)
    sys.exit(2)
out, entries, stories = sys.argv[1], sys.argv[2], sys.argv[3:]
try:
    report = ts.dataset_clean(stories, out, near_duplicates=True)  # stories that share four fifths of their word sequences
    print(f"{report['kept']} of {report['stories']} stories kept, {report['repaired_stories']} mended")
    for reason, number in report["dropped"].items():
        if number > 0:
            print(f"dropped {number}: {reason}")
    report = ts.dataset_instruct(out, entries, always=ts.InstructField.SUMMARY)  # every one has a summary, as in the published file
    print(f"{report['entries']} entries\n")
    print(ts.Instruct(words=["jump", "dog", "happy"], features=["Dialogue"]).prompt())
except (ts.Error, ValueError) as error:
    sys.exit(f"{sys.argv[0]}: {error}")
