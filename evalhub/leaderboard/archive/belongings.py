"""What belongs to a study: every table that speaks of it, in the order in which rows can be written."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.apps import apps
from django.db import models

from evalhub.studies.models import Study

FORMAT = 1
APPS = ("studies", "raters", "metrics", "leaderboard")


@dataclass(frozen=True)
class Belonging:
    """One table.

    Args:
        model: `app.Model`.
        to_study: how a row leads to its study, as a lookup.
        only: which of those rows are packed; the others are work under way.
        dropped: fields that are not packed, and what they are in the copy: secrets, and what leads to people.
    """

    model: str
    to_study: str
    only: Mapping[str, Any] = field(default_factory=dict)
    dropped: Mapping[str, Any] = field(default_factory=dict)

    @property
    def table(self) -> type[models.Model]:
        return apps.get_model(self.model)

    @property
    def fields(self) -> list["models.Field[Any, Any]"]:
        return [one for one in self.table._meta.concrete_fields if one.attname not in self.dropped]

    def rows(self, study: Study) -> "models.QuerySet[Any]":
        found = self.table._default_manager.filter(**{self.to_study: study.pk}, **self.only).order_by("pk")
        return found.distinct() if self.model == "raters.Rater" else found

    def everything(self, study: Study) -> "models.QuerySet[Any]":
        """Also what is not packed."""
        return self.table._default_manager.filter(**{self.to_study: study.pk})


# Presentation copies go along, since comparisons name what was shown. How often pairs were drawn is counted anew;
# features are computed anew when somebody asks.
PACKED = (
    Belonging("studies.Study", "pk"),
    Belonging("studies.Criterion", "study"),
    Belonging("studies.Media", "study"),
    Belonging("studies.Prompt", "study"),
    Belonging("studies.Checkpoint", "study"),
    Belonging("studies.Submission", "checkpoint__study"),
    Belonging("studies.ManifestEntry", "submission__checkpoint__study"),
    Belonging("studies.Sample", "checkpoint__study"),
    Belonging("metrics.Reference", "study"),
    Belonging("metrics.ReferenceImage", "reference__study"),
    Belonging("raters.RaterRules", "study"),
    Belonging("raters.Rater", "enrolments__study", dropped={"user_id": None}),
    Belonging("raters.VoteImport", "study"),
    Belonging("raters.Enrolment", "study", dropped={"visit_id": None}),
    Belonging("raters.Gold", "study"),
    Belonging("raters.PresentationCopy", "study"),
    Belonging("raters.Comparison", "study", dropped=dict.fromkeys(("token", "left_token", "right_token"), "new")),
    Belonging("raters.Vote", "study"),
    Belonging("raters.Remark", "comparison__study"),
    Belonging("raters.Skip", "comparison__study"),
    Belonging("raters.Fit", "study", only={"state": "done"}),
    Belonging("raters.Rating", "fit__study", only={"fit__state": "done"}),
    Belonging("raters.Standing", "fit__study", only={"fit__state": "done"}),
    Belonging("raters.Margin", "study"),
    Belonging("raters.Verdict", "fit__study", only={"fit__state": "done"}),
    Belonging("metrics.Run", "submission__checkpoint__study", only={"state__in": ["done", "failed", "cancelled"]}),
    Belonging(
        "metrics.Score",
        "run__submission__checkpoint__study",
        only={"run__state__in": ["done", "failed", "cancelled"]},
    ),
    Belonging(
        "metrics.SampleScore",
        "score__run__submission__checkpoint__study",
        only={"score__run__state__in": ["done", "failed", "cancelled"]},
    ),
    Belonging("metrics.DuplicateSearch", "submission__checkpoint__study", only={"state": "done"}),
    Belonging("metrics.NearDuplicate", "search__submission__checkpoint__study", only={"search__state": "done"}),
    Belonging("leaderboard.MetricAgreement", "fit__study", only={"fit__state": "done"}),
    Belonging("studies.LogEntry", "study"),
)
# What a study owns besides, which is deleted with it and packed with nothing: ways in, keys, work under way, caches.
LEFT_BEHIND = (
    Belonging("studies.PromptList", "study"),
    Belonging("studies.Membership", "study"),
    Belonging("studies.Invite", "study"),
    Belonging("studies.ApiToken", "study"),
    Belonging("studies.WebhookCall", "webhook__study"),
    Belonging("studies.Webhook", "study"),
    Belonging("raters.Visit", "recruitment__study"),
    Belonging("raters.Recruitment", "study"),
    Belonging("raters.PairCount", "study"),
    Belonging("raters.VoteFile", "study"),
    Belonging("metrics.Shard", "run__submission__checkpoint__study"),
    Belonging("metrics.FeatureRow", "study"),
    Belonging("metrics.ReferenceStatistics", "reference__study"),
    Belonging("metrics.CachedFile", "study"),
)


def schema() -> dict[str, str]:
    """The newest migration of each app: an archive is read by a site with the same tables."""
    from django.db import connection
    from django.db.migrations.recorder import MigrationRecorder

    applied = MigrationRecorder(connection).applied_migrations()
    return {app: max(name for label, name in applied if label == app) for app in APPS}
