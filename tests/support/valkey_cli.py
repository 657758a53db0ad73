"""What the pages use of valkey-cli: `-u URL COMMAND …`. Machines that run the tests may not have it."""

from __future__ import annotations

import socket
import sys
from urllib.parse import urlsplit


def main(arguments: list[str]) -> None:
    """Run the command and print its answer, which is one text or number."""
    option, url, *command = arguments
    assert option == "-u", option
    where = urlsplit(url)
    with socket.create_connection((where.hostname, where.port or 6379), timeout=10) as connection:
        connection.sendall(f"{' '.join(command)}\r\n".encode())
        lines = connection.makefile("rb")
        answer = lines.readline().decode().strip()
        if answer.startswith("$"):
            answer = lines.read(int(answer[1:])).decode()
    if answer.startswith("-"):
        sys.exit(answer)
    print(answer.removeprefix("+").removeprefix(":"))


if __name__ == "__main__":
    main(sys.argv[1:])
