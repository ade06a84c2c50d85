"""What Serve's HTTP front costs a request, in the mode that ships and in Serve's default.

Starts the application in each mode in turn (`--rounds` times, interleaved), asks `/healthz` one at
a time and from many clients at once, stops it, and prints JSON. Talks to 127.0.0.1 only.

    AI_JWT_SECRET=… python benchmarks/ingress_modes.py
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import httpx

MODES: Final[dict[str, dict[str, str]]] = {
    "shipped (HAProxy, one loop)": {},
    "HAProxy, separate threads": {
        "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "1",
        "RAY_SERVE_RUN_ROUTER_IN_SEPARATE_LOOP": "1",
    },
    "Serve's default (Python proxy)": {
        "RAY_SERVE_ENABLE_HA_PROXY": "0",
        "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "1",
        "RAY_SERVE_RUN_ROUTER_IN_SEPARATE_LOOP": "1",
        "RAY_SERVE_REQUEST_PATH_LOG_BUFFER_SIZE": "1",
    },
}
COMMAND: Final = Path(sys.executable).parent / "pazpaz-agent"


async def ask(url: str, *, clients: int, seconds: float) -> tuple[float, float]:
    """Return the median in milliseconds and the requests per second."""
    durations_ms: list[float] = []
    end_s = time.perf_counter() + seconds
    limits = httpx.Limits(max_connections=clients)
    async with httpx.AsyncClient(base_url=url, limits=limits, trust_env=False) as client:

        async def keep_asking() -> None:
            while (started_s := time.perf_counter()) < end_s:
                (await client.get("/healthz")).raise_for_status()
                durations_ms.append((time.perf_counter() - started_s) * 1000)

        await asyncio.gather(*(keep_asking() for _ in range(clients)))
    return statistics.median(durations_ms), len(durations_ms) / seconds


def measure(mode: str, *, port: int, seconds: float) -> dict[str, object]:
    """Start the application in one mode, measure, and stop it."""
    environment = {**os.environ, **MODES[mode]}
    with subprocess.Popen(  # noqa: S603 - ours
        [COMMAND, "up", "--port", str(port)], env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "Ctrl-C stops it" in line:
                break
        url = f"http://127.0.0.1:{port}"
        try:
            asyncio.run(ask(url, clients=1, seconds=2))
            alone_ms, _ = asyncio.run(ask(url, clients=1, seconds=seconds))
            many_ms, per_s = asyncio.run(ask(url, clients=16, seconds=seconds))
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=120)
    figures = {"p50_ms_1_client": alone_ms, "p50_ms_16_clients": many_ms, "requests_per_s": per_s}
    return {"mode": mode} | {name: round(value, 2) for name, value in figures.items()}


def main() -> None:
    """Read the arguments, measure, and print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args()
    rows = []
    for _ in range(options.rounds):
        for mode in MODES:
            rows.append(measure(mode, port=options.port, seconds=options.seconds))
            print(rows[-1], file=sys.stderr, flush=True)
    json.dump(rows, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
