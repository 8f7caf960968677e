"""What the database itself holds true of a column."""

from django.db import models
from django.db.models import Q


def one_of(field: str, choices: type[models.TextChoices], name: str) -> models.CheckConstraint:
    """Django's `choices` do not bind the database; this does."""
    return models.CheckConstraint(condition=Q(**{f"{field}__in": choices.values}), name=name)
