"""Addresses of the API that speak of studies and submissions; evalhub.urls puts them under /api/v1/."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
