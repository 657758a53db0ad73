"""The URLconf of the Django project: Django loads it with the first request that it routes."""

from __future__ import annotations

import typing as t

from django.http import HttpRequest, HttpResponse
from django.urls import path

from nextmq_adapters.django import nextmq_view
from tests.support.handler import APP_URL, NOW, SECRET

from .django_project import async_worker, worker

_clock: dict[str, t.Any] = {"clock": lambda: float(NOW)}

view = nextmq_view([worker, async_worker], webhook_secrets=SECRET, app_url=APP_URL, **_clock)


def page(request: HttpRequest) -> HttpResponse:
    return HttpResponse("a page")


urlpatterns = [path("api/nextmq/<path:path>", view), path("page", page)]
