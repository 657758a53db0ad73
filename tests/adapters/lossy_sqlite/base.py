"""A sqlite backend for Django that tells whether its connection is lost, as those of database servers do."""

from __future__ import annotations

import sqlite3

from django.db.backends.sqlite3 import base


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's own takes every connection for a usable one: that of a file does not get lost."""

    def is_usable(self) -> bool:
        try:
            self.connection.execute("SELECT 1")
        except sqlite3.Error:
            return False
        return True
