"""The protocol written by hand for one Lambda event shape: it imports nothing else."""

from __future__ import annotations

import base64
import hmac
import json
import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing itself is slow to import
    from typing import Any

KEY = base64.b64decode(os.environ["NEXTMQ_WEBHOOK_SECRETS"].removeprefix("whsec_"))


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    headers = event["headers"]
    id, body = headers["x-nextmq-id"].encode(), event["body"].encode()
    if not is_authentic(id, headers["x-nextmq-timestamp"], headers["x-nextmq-signature"], body):
        return {"statusCode": 401, "body": '{"error":"unauthorized"}'}
    answer = json.dumps({"outcome": "completed", "returnValue": welcome(json.loads(body)["job"])})
    return {"statusCode": 200, "headers": sealed(id, answer.encode()), "body": answer}


def welcome(job: object) -> dict[str, bool]:
    return {"ok": True}


def is_authentic(id: bytes, sent_at: str, signature: str, body: bytes) -> bool:
    if abs(time.time() - int(sent_at)) > 300:
        return False
    digest = hmac.digest(KEY, b"%s.%s.%s" % (id, sent_at.encode(), body), "sha256")
    return hmac.compare_digest("v1," + base64.b64encode(digest).decode(), signature)


def sealed(id: bytes, body: bytes) -> dict[str, str]:
    sent_at = str(int(time.time()))
    digest = hmac.digest(KEY, b"outcome.%s.%s.%s" % (id, sent_at.encode(), body), "sha256")
    return {
        "content-type": "application/json",
        "x-nextmq-id": id.decode(),
        "x-nextmq-timestamp": sent_at,
        "x-nextmq-signature": "v1," + base64.b64encode(digest).decode(),
    }
