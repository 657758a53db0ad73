"""The Lambda adapter with a plain `def` processor."""

import typing as t

from nextmq_adapters.aws_lambda import lambda_handler
from nextmq_handler import Worker

emails = Worker("emails")


@emails.processor("welcome")
def welcome(job: t.Any) -> dict[str, bool]:
    return {"ok": True}


handler = lambda_handler(workers=[emails])
