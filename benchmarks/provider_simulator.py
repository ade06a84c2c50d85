"""Five vendors on one loopback port, to test against: Cohere, OpenAI, Azure, Anthropic, compatible.

Speaks their wire formats for the official SDKs, answers deterministically, and fails, slows down,
throttles and counts as it is told: by these flags at the start, by its admin API while it runs.
It prints its URL first, needs no network, and binds 127.0.0.1 only.

    python -m benchmarks.provider_simulator --port 9999 --latency-ms 200 --fail-rate 0.1
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import sys
from typing import Final

import uvloop
from pydantic import ValidationError

from benchmarks.simulator.admin import FIRST_LINE
from benchmarks.simulator.behaviour import Behaviour
from benchmarks.simulator.server import HOST, running_simulator

DEFAULT_PORT: Final = 9999
DEFAULT_FOR_S: Final = 3600.0

_EPILOG: Final = """\
Base URLs, with any key:
  Cohere               http://127.0.0.1:9999
  OpenAI               http://127.0.0.1:9999/v1
  Azure's endpoint     http://127.0.0.1:9999
  OpenAI-compatible    http://127.0.0.1:9999/compatible/v1   without a key, too
  Anthropic            http://127.0.0.1:9999

The admin API, on the same port:
  POST /_simulator/behaviour   change the named fields, of every vendor and operation or of one:
                               {"operation": "chat", "vendor": "openai", "latency_ms": 300,
                                "outage": "503"}
                               an outage of null ends it
  GET  /_simulator/behaviour   how each vendor and operation behaves
  POST /_simulator/reset       forget the counts and behave as at the start;
                               {"behaviour": false} forgets the counts only
  GET  /_simulator/counters    the counts; ?after=VERSION&wait_s=5 waits until they have changed
  GET  /_simulator/calls       the last calls with their times; ?since_s=12.5 those from then on

Kinds of faults (a fault is one of these, or an object, see below):
  400 401 403 404 408 429 500 502 503 504 529   the status, with the vendor's own error body
  quota       the vendor's error for a spent quota
  reset       TCP reset
  hang        no answer until the client leaves, or for hang_s seconds
  malformed   status 200 with broken JSON; in a stream, a broken event and the end
  truncated   a body shorter than its Content-Length; a stream without its end event
  slow_drip   a byte, or a piece of a stream, every drip_ms (1000)
  ok          in a sequence: an answer
As an object: {"kind": "429", "retry_after_s": 2, "retry_after_as": "date", "times": 3,
  "weight": 0.5, "cut_after_pieces": 4, "hang_s": 30, "drip_ms": 500}; all but the kind may be left
  out. With cut_after_pieces a stream fails after that many pieces of text.

docs/provider-simulator.md has an example of each.
"""


def main() -> None:
    """Read the flags, serve until a signal or the time is up."""
    options = _parser().parse_args()
    try:
        behaviour = _behaviour(options)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        sys.exit(f"{'.'.join(map(str, first['loc']))}: {first['msg']}")
    except ValueError:
        sys.exit("--behaviour: must be a JSON object")
    if options.host != HOST:
        sys.exit(f"--host: the simulator binds {HOST} only, not {options.host}")
    try:
        uvloop.run(_serve(behaviour, options.port, seed=options.seed, for_s=options.for_s))
    except OSError as error:
        sys.exit(f"port {options.port}: {error.strerror}")


async def _serve(behaviour: Behaviour, port: int, *, seed: int, for_s: float) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with running_simulator(behaviour, port=port, seed=seed) as simulator:
        print(f"{FIRST_LINE}{simulator.url}", flush=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(for_s):
                await stop.wait()


def _behaviour(options: argparse.Namespace) -> Behaviour:
    given = {
        name: value
        for name, value in vars(options).items()
        if name in Behaviour.model_fields and value is not None
    }
    return Behaviour.model_validate({**json.loads(options.behaviour), **given})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").partition("\n\n    ")[0],
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="0 takes a free one (9999)")
    parser.add_argument("--host", default=HOST, help="there is no other than 127.0.0.1")
    parser.add_argument(
        "--for",
        dest="for_s",
        type=float,
        default=DEFAULT_FOR_S,
        metavar="SECONDS",
        help="stop after so long (3600)",
    )
    parser.add_argument(
        "--seed", metavar="N", type=int, default=0, help="of failures and jitter (0)"
    )
    behaviour = parser.add_argument_group("at the start, of every vendor and operation")
    behaviour.add_argument("--latency-ms", metavar="MS", type=float, help="before the first byte")
    behaviour.add_argument("--jitter-ms", metavar="MS", type=float, help="up to so much more")
    behaviour.add_argument(
        "--piece-ms", metavar="MS", type=float, help="before each piece of a stream"
    )
    behaviour.add_argument(
        "--fail-rate", metavar="SHARE", type=float, help="0 to 1, of 500 and 429 alike"
    )
    behaviour.add_argument(
        "--requests-per-minute", metavar="N", type=int, help="of each vendor and operation"
    )
    behaviour.add_argument("--inputs-per-minute", metavar="N", type=int, help="embedded texts")
    behaviour.add_argument("--tokens-per-minute", metavar="N", type=int, help="of input and output")
    behaviour.add_argument(
        "--window-s", metavar="S", type=float, help="what the ceilings call a minute (60)"
    )
    behaviour.add_argument(
        "--behaviour",
        default="{}",
        metavar="JSON",
        help='any fields of the admin API: {"sequence": ["500", "ok"]}',
    )
    return parser


if __name__ == "__main__":
    main()
