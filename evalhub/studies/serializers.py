"""The shapes in which studies and submissions travel over the API."""

from typing import Any, ClassVar

from django.conf import settings
from django.urls import reverse
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from evalhub.asking import Body, Text
from evalhub.schema import example
from evalhub.studies import examples
from evalhub.studies.models import ApiToken, Checkpoint, Media, Modality, Prompt, Study, Submission, TokenScope
from evalhub.studies.services import CheckpointFacts, ManifestFile, part_sizes, read_files, report
from evalhub.studies.services.manifest import BIGGEST, LENGTHS, LONGEST

MOST_MISSING = 10_000  # are listed in one answer
CONTROLS = r"\u0000-\u001f\u007f"
PLAIN = rf"^[^{CONTROLS}]*$"


@example(asked=examples.LOGIN)
class LoginSerializer(Body):
    username = serializers.CharField(max_length=150)
    password = serializers.CharField(trim_whitespace=False, max_length=4096)
    name = serializers.CharField(default="evalhub login", max_length=80, help_text="To know the token by later.")
    scope = serializers.ChoiceField(TokenScope.choices, default=TokenScope.SUBMIT)
    study = serializers.SlugField(default="", allow_blank=True, help_text="Empty: every study of yours.")
    days = serializers.IntegerField(
        default=None,
        allow_null=True,
        min_value=1,
        max_value=365,
        help_text="Null: as long as the site lets tokens live.",
    )


@example(told=examples.NEW_TOKEN)
class TokenSerializer(serializers.Serializer):
    token = serializers.CharField(help_text="Shown once; only a hash of it is kept.")
    expiry = serializers.DateTimeField()


@example(told=examples.TOKEN)
class TokenInListSerializer(serializers.ModelSerializer):
    """One of your tokens; what it opens by was shown once."""

    id = serializers.CharField(source="pk")
    begins_with = serializers.SerializerMethodField()
    study = serializers.CharField(source="study.slug", default=None, allow_null=True, help_text="Null: all.")

    class Meta:
        model = ApiToken
        fields: ClassVar = ["id", "name", "begins_with", "scope", "study", "created", "expiry", "last_used_at"]

    def get_begins_with(self, token: ApiToken) -> str:
        return str(token.token_key[:8])


@example(told=examples.STUDY)
class StudySerializer(serializers.ModelSerializer):
    prompts = serializers.SerializerMethodField()
    url = serializers.SerializerMethodField()

    class Meta:
        model = Study
        fields: ClassVar = [
            "slug",
            "name",
            "description",
            "modality",
            "state",
            "publishes_late",
            "contestants_registered_at",
            "prompts",
            "url",
        ]

    def get_prompts(self, study: Study) -> int:
        return study.prompts.count()

    def get_url(self, study: Study) -> str:
        return settings.SITE_URL + reverse("study", args=[study.slug])


class QuestionSerializer(Body):
    """One question that raters answer about every pair."""

    name = serializers.CharField(max_length=80)
    question = serializers.CharField(max_length=200)
    key = serializers.SlugField(max_length=32, required=False, default="")
    allows_tie = serializers.BooleanField(default=True)
    allows_both_bad = serializers.BooleanField(default=True)


@example(asked=examples.NEW_STUDY)
class NewStudySerializer(Body):
    """A draft; without questions it asks which picture is better."""

    slug = Text("^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$", max_length=64)
    name = serializers.CharField(max_length=200)
    modality = serializers.ChoiceField(choices=Modality.choices, default=Modality.IMAGE)
    description = serializers.CharField(required=False, default="", allow_blank=True)
    consent = serializers.CharField(required=False, default="", allow_blank=True)
    instructions = serializers.CharField(required=False, default="", allow_blank=True)
    questions = QuestionSerializer(many=True, required=False)


@example(asked=examples.PROMPT_FILES, media_type="multipart/form-data")
class PromptFilesSerializer(Body):
    """A list of prompts with the files that it names, or a zip that holds both."""

    prompt_list = serializers.FileField(required=False)
    files = serializers.ListField(child=serializers.FileField(), required=False)
    archive = serializers.FileField(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if bool(attrs.get("prompt_list")) == bool(attrs.get("archive")):
            raise serializers.ValidationError("Send either prompt_list, with the files that it names, or archive.")
        return attrs


@example(told={"added": 200})
class AddedPromptsSerializer(serializers.Serializer):
    added = serializers.IntegerField()


class MediaSerializer(serializers.ModelSerializer):
    class Meta:
        model = Media
        fields: ClassVar = ["sha256", "size", "kind", "format", "width", "height"]


@example(told=examples.PROMPT)
class PromptSerializer(serializers.ModelSerializer):
    class Meta:
        model = Prompt
        fields: ClassVar = ["key", "text", "source_text", "tags", "source", "mask", "reference"]

    def get_fields(self) -> dict[str, serializers.Field]:
        # Not as attributes: a serializer has a `source` of its own.
        return super().get_fields() | {
            name: MediaSerializer(allow_null=True) for name in ("source", "mask", "reference")
        }


class CheckpointSerializer(serializers.ModelSerializer):
    registered = serializers.BooleanField(source="is_registered", help_text="False: begun after the registration.")

    class Meta:
        model = Checkpoint
        fields: ClassVar = [
            "name",
            "family",
            "step",
            "latency_p50",
            "latency_p95",
            "price",
            "gpu",
            "dtype",
            "notes",
            "registered",
            "withdrawn_at",
            "withdrawal_reason",
        ]


@example(told=examples.MISSING)
class PromisedSerializer(serializers.Serializer):
    """A promised file. The context's `here` has, by hash, the bytes of those that came in part."""

    path = serializers.CharField()
    sha256 = serializers.CharField()
    size = serializers.IntegerField()
    offset = serializers.SerializerMethodField(help_text="So many of its bytes are here.")

    def get_offset(self, file: Any) -> int:
        sha256 = file["sha256"] if isinstance(file, dict) else file.sha256
        return int(self.context.get("here", {}).get(sha256, 0))


@example(told=examples.OFFSET)
class OffsetSerializer(serializers.Serializer):
    offset = serializers.IntegerField(help_text="So many bytes of the file are here; the next piece begins there.")
    size = serializers.IntegerField()


@example(asked=examples.QUOTA)
class QuotaSerializer(Body):
    quota_bytes = serializers.IntegerField(
        min_value=1, max_value=BIGGEST, allow_null=True, help_text="Null: as many as there is room for."
    )


@example(told=examples.USAGE)
class UsageSerializer(serializers.Serializer):
    quota_bytes = serializers.IntegerField(source="quota", allow_null=True, help_text="Null: no quota.")
    held_bytes = serializers.IntegerField(source="held", help_text="Each file once; the prompts' files among them.")
    promised_bytes = serializers.IntegerField(source="promised", help_text="By unfinished submissions, not here yet.")


class BadFileSerializer(serializers.Serializer):
    path = serializers.CharField()
    problem = serializers.CharField(help_text="A sentence that names the file and says what is wrong with it.")


class SubmissionReportSerializer(serializers.Serializer):
    summary = serializers.CharField(help_text="One sentence.")
    awaited = serializers.IntegerField(help_text="Files that have not arrived.")
    bad_files = BadFileSerializer(many=True)
    missing_prompts = serializers.ListField(child=serializers.CharField(), help_text="Prompts that no file answers.")
    duplicates = serializers.ListField(
        child=serializers.ListField(child=serializers.CharField()), help_text="Groups of paths with the same bytes."
    )


@example(told=examples.SUBMISSION_SUMMARY)
class SubmissionSummarySerializer(serializers.ModelSerializer):
    study = serializers.CharField(source="checkpoint.study.slug")
    checkpoint = CheckpointSerializer()
    url = serializers.SerializerMethodField(help_text="Its page, for people.")

    class Meta:
        model = Submission
        fields: ClassVar = ["id", "state", "url", "study", "checkpoint", "created_at", "completed_at"]

    def get_url(self, submission: Submission) -> str:
        return settings.SITE_URL + reverse("submission", args=[submission.pk])


@example(told=examples.SUBMISSION)
class SubmissionSerializer(SubmissionSummarySerializer):
    files = serializers.IntegerField()
    received = serializers.IntegerField()
    missing = PromisedSerializer(
        many=True,
        help_text=f"What is to be sent, each file once, bad files among them; of more than {MOST_MISSING:,} the first.",
    )
    missing_more = serializers.CharField(allow_null=True, help_text="Where all are listed, if these are the first.")
    report = SubmissionReportSerializer()

    class Meta(SubmissionSummarySerializer.Meta):
        fields: ClassVar = [
            *SubmissionSummarySerializer.Meta.fields,
            "files",
            "received",
            "missing",
            "missing_more",
            "report",
        ]

    def to_representation(self, submission: Submission) -> dict[str, Any]:
        found = report(submission)
        told = SubmissionSummarySerializer(submission, context=self.context).data
        outstanding = submission.entries.outstanding().order_by("id").values("path", "sha256", "size")
        missing = list(outstanding[: MOST_MISSING + 1])
        here = part_sizes(submission) if missing else {}
        told |= {"files": found.files, "received": found.received}
        told["missing"] = [
            file | {"offset": here.get(file["sha256"], 0)}
            for file in {file["sha256"]: file for file in missing[:MOST_MISSING]}.values()
        ]
        more = len(missing) > MOST_MISSING
        told["missing_more"] = settings.SITE_URL + reverse("v1:missing", args=[submission.pk]) if more else None
        told["report"] = SubmissionReportSerializer(found).data
        return told


class CheckpointFactsSerializer(Body):
    name = Text(rf"^[^\s{CONTROLS}]([^{CONTROLS}]*[^\s{CONTROLS}])?$", max_length=LENGTHS["name"])
    family = Text(PLAIN, default="", allow_blank=True, max_length=LENGTHS["family"])
    step = serializers.IntegerField(default=None, allow_null=True, min_value=0, max_value=BIGGEST)
    latency_p50 = serializers.FloatField(default=None, allow_null=True, min_value=0, help_text="Seconds per output.")
    latency_p95 = serializers.FloatField(default=None, allow_null=True, min_value=0, help_text="Seconds per output.")
    price = serializers.FloatField(default=None, allow_null=True, min_value=0, help_text="US dollars per output.")
    gpu = Text(PLAIN, default="", allow_blank=True, max_length=LENGTHS["gpu"])
    dtype = Text(PLAIN, default="", allow_blank=True, max_length=LENGTHS["dtype"])
    notes = serializers.CharField(default="", allow_blank=True, max_length=LENGTHS["notes"])


class ManifestFileSerializer(serializers.Serializer):
    """One promised file; for the schema. What does not do is refused where the sentence names the file."""

    path = Text(
        rf"^[^/\\{CONTROLS}]+(/[^/\\{CONTROLS}]+)*$", max_length=LONGEST, help_text="Relative, with no `..` in it."
    )
    sha256 = Text("^[0-9a-f]{64}$")
    size = serializers.IntegerField(min_value=1, max_value=BIGGEST)
    prompt = Text(max_length=LONGEST, help_text="The prompt's key.")
    seed = serializers.IntegerField(default=0, min_value=-BIGGEST, max_value=BIGGEST)


@extend_schema_field(ManifestFileSerializer(many=True))
class ManifestFilesField(serializers.Field):
    """The lines of a manifest, checked in one pass: a serializer for each of 50,000 would take most of the request."""

    def to_internal_value(self, data: Any) -> list[ManifestFile]:
        if not isinstance(data, list):
            raise serializers.ValidationError(f"Expected a list of files and got {type(data).__name__}.")
        files, faults = read_files(data)
        if faults:
            raise serializers.ValidationError(faults)
        return files

    def to_representation(self, files: Any) -> Any:
        return files


@example(asked=examples.MANIFEST)
class ManifestSerializer(Body):
    checkpoint = CheckpointFactsSerializer()
    files = ManifestFilesField()

    def facts(self) -> CheckpointFacts:
        return CheckpointFacts(**self.validated_data["checkpoint"])

    def manifest(self) -> list[ManifestFile]:
        files: list[ManifestFile] = self.validated_data["files"]
        return files


@example(asked=examples.WITHDRAWAL)
class WithdrawalSerializer(Body):
    reason = serializers.CharField(max_length=500, help_text="Everybody who sees the study can read it.")


class EntrySerializer(serializers.Serializer):
    path = serializers.CharField()
    state = serializers.CharField(help_text="received")


@example(told=examples.RECEIVED)
class ReceivedSerializer(serializers.Serializer):
    entries = EntrySerializer(many=True, help_text="The manifest's lines that this file answers.")
    submission = serializers.CharField(help_text="The submission's state: incomplete or complete.")
