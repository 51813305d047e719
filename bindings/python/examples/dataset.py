#!/usr/bin/env python3
"""Writes ten stories, by a chat service when TINYSTORIES_API_KEY is set, with the embedded author when not: dataset.py FILE [SEED [MODEL [BASE_URL]]]"""
import os
import sys

import tinystories as ts

if not 2 <= len(sys.argv) <= 5:
    print(__doc__, file=sys.stderr)
    sys.exit(2)
out, seed = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0
chat = None
try:
    if os.environ.get("TINYSTORIES_API_KEY"):
        chat = ts.Chat(model=sys.argv[3] if len(sys.argv) > 3 else "gpt-4o-mini", base_url=sys.argv[4] if len(sys.argv) > 4 else None,
                       journal=out + ".journal", key=os.environ["TINYSTORIES_API_KEY"])
    with ts.Generator(seed=seed, chat=chat) as generator:
        generator.write(10, out, progress=lambda done, total: print(f"{done} of {total}", file=sys.stderr) if chat else None)
        generator.seek(0)
        story = next(generator)  # of the journal: it is not asked for again
        print(f"by {story.source}\nwords: {', '.join(story.words)}\nfeatures: {' '.join(story.feature_names)}\n\n{story}")
except (ts.Error, ValueError) as error:
    sys.exit(f"{sys.argv[0]}: {error}")
