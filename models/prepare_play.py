"""Lays out a play of the Canterbury corpus as the bundled models' training text is laid out.

    python prepare_play.py asyoulik.txt CHARS_JSON OUT

Each speech becomes a line `SPEAKER:` and the lines spoken, with an empty line between speeches.
Stage directions, headings and characters that CHARS_JSON does not list are dropped.
"""

import json
import re
import sys
from pathlib import Path

HEADING = re.compile(r"^(ACT|SCENE)\b")
SPEAKER = re.compile(r"^([A-Z][A-Z' ]+)\t(.*)$")


def speeches(play):
    """(speaker, lines) of every speech, in order. The corpus indents speech by a tab after the speaker's name."""
    speaker, lines = None, []
    for line in play.split("\n"):
        named = SPEAKER.match(line)
        if named and not HEADING.match(named[1]):
            yield speaker, lines
            speaker, lines = named[1].strip(), []
            line = named[2]
        elif not line.startswith("\t"):
            if line.strip():
                yield speaker, lines
                speaker, lines = None, []
            continue
        spoken = " ".join(line.split())
        if spoken and not HEADING.match(spoken):
            lines.append(spoken)
    yield speaker, lines


def main():
    source, chars, out = map(Path, sys.argv[1:])
    play = source.read_text(encoding="latin-1").replace("\r", "")
    play = play[play.index("ACT I\n") :]
    play = re.sub(r"\[[^\]]*\]", "", play)
    parts = [f"{speaker}:\n" + "\n".join(lines) for speaker, lines in speeches(play) if speaker and lines]
    known = set(json.loads(chars.read_text()))
    out.write_text("".join(char for char in "\n\n".join(parts) + "\n" if char in known))


if __name__ == "__main__":
    main()
