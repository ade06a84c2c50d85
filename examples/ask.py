"""A practice-management application asks: `PAZPAZ_TOKEN=… python examples/ask.py "question"`."""

import os
import sys

import httpx

reply = httpx.post(
    os.environ.get("PAZPAZ_URL", "http://127.0.0.1:8000") + "/api/v1/ai/agent/chat",
    headers={"Authorization": f"Bearer {os.environ['PAZPAZ_TOKEN']}"},
    json={"query": sys.argv[1]},
    timeout=100,  # a little above the runtime's own deadline of 90 s
)
body = reply.json()
if reply.is_error:
    sys.exit(f"{body['detail']} ({body['code']}, request {body['request_id']})")
print(body["answer"])
for cited in (each for each in body["citations"] if each["spans"]):  # those the answer rests on
    when = cited.get("session_date", "")[:10]
    print(
        f"[{cited['marker']}] {cited['client_name']} {when} {cited['field_name']}: {cited['quote']}"
    )
