"""Raters compare on pages, so this room adds nothing to the API."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
