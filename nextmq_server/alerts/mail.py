"""Send an e-mail through the relay of NEXTMQ_SMTP_URL."""

from __future__ import annotations

import email.message
import os
import smtplib
import ssl
import typing as t
from urllib.parse import parse_qs, unquote, urlsplit

from nextmq_handler.errors import ConfigurationError
from nextmq_handler.rules.log_text import one_line
from nextmq_handler.settings import is_loopback

SMTP_VARIABLE = "NEXTMQ_SMTP_URL"
"""The variable with the relay: `smtp://user:password@host:587?from=alerts@example.com`, or `smtps://`."""

SMTP_TIMEOUT = 10.0
"""How long, in s, each step of the relay may take."""


class MailRelay(t.NamedTuple):
    """An SMTP relay. Its repr shows no password."""

    host: str
    port: int
    is_tls: bool
    user: str | None
    password: str | None
    sender: str

    def __repr__(self) -> str:
        return f"<MailRelay {self.host}:{self.port}>"

    @classmethod
    def from_environment(cls) -> MailRelay | None:
        """Return the relay of NEXTMQ_SMTP_URL, or None. Raises ConfigurationError, which quotes no part of it."""
        text = os.environ.get(SMTP_VARIABLE)
        if not text:
            return None
        problem = f"{SMTP_VARIABLE} must be like smtp://user:password@host:587?from=alerts@example.com"
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError:
            raise ConfigurationError(problem) from None
        sender = parse_qs(parts.query).get("from", [""])[0]
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname or "@" not in sender:
            raise ConfigurationError(problem)
        is_tls = parts.scheme == "smtps"
        user = unquote(parts.username) if parts.username else None
        password = unquote(parts.password) if parts.password else None
        return cls(parts.hostname, port or (465 if is_tls else 587), is_tls, user, password, sender)

    def send(self, to: t.Sequence[str], subject: str, text: str) -> None:
        """Send an e-mail; it blocks. Raises OSError or SMTPException."""
        message = email.message.EmailMessage()
        message["From"], message["To"] = self.sender, ", ".join(to)
        message["Subject"] = one_line(subject, 200)
        message.set_content(text)
        context = ssl.create_default_context()
        with self._connected(context) as connection:
            if not self.is_tls and connection.has_extn("starttls"):
                connection.starttls(context=context)
                connection.ehlo()
            elif not self.is_tls and self.user and not is_loopback(self.host):
                raise smtplib.SMTPException("the relay offers no TLS, so the password is not sent: use smtps://")
            if self.user:
                connection.login(self.user, self.password or "")
            connection.send_message(message)

    def _connected(self, context: ssl.SSLContext) -> smtplib.SMTP:
        if self.is_tls:
            connection: smtplib.SMTP = smtplib.SMTP_SSL(
                self.host, self.port, timeout=SMTP_TIMEOUT, context=context
            )
        else:
            connection = smtplib.SMTP(self.host, self.port, timeout=SMTP_TIMEOUT)
        connection.ehlo()
        return connection
