"""The shapes in which studies and submissions travel over the API."""

from typing import Any, ClassVar

from django.conf import settings
from django.urls import reverse
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from evalhub.studies.models import Checkpoint, Media, Modality, Prompt, Study, Submission, TokenScope
from evalhub.studies.services import CheckpointFacts, ManifestFile, part_sizes, read_files, report
from evalhub.studies.services.manifest import BIGGEST

MOST_MISSING = 10_000  # are listed in one answer


class LoginSerializer(serializers.Serializer):
    username = serializers.CharField()
    password = serializers.CharField(trim_whitespace=False)
    name = serializers.CharField(default="evalhub login", max_length=80, help_text="To know the token by later.")
    scope = serializers.ChoiceField(TokenScope.choices, default=TokenScope.SUBMIT)


class TokenSerializer(serializers.Serializer):
    token = serializers.CharField(help_text="Shown once; only a hash of it is kept.")
    expiry = serializers.DateTimeField()


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


class QuestionSerializer(serializers.Serializer):
    """One question that raters answer about every pair."""

    name = serializers.CharField(max_length=80)
    question = serializers.CharField(max_length=200)
    key = serializers.SlugField(max_length=32, required=False, default="")
    allows_tie = serializers.BooleanField(default=True)
    allows_both_bad = serializers.BooleanField(default=True)


class NewStudySerializer(serializers.Serializer):
    """A draft; without questions it asks which picture is better."""

    slug = serializers.CharField(max_length=64)
    name = serializers.CharField(max_length=200)
    modality = serializers.ChoiceField(choices=Modality.choices, default=Modality.IMAGE)
    description = serializers.CharField(required=False, default="", allow_blank=True)
    consent = serializers.CharField(required=False, default="", allow_blank=True)
    instructions = serializers.CharField(required=False, default="", allow_blank=True)
    questions = QuestionSerializer(many=True, required=False)


class PromptFilesSerializer(serializers.Serializer):
    """A list of prompts with the files that it names, or a zip that holds both."""

    prompt_list = serializers.FileField(required=False)
    files = serializers.ListField(child=serializers.FileField(), required=False)
    archive = serializers.FileField(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if bool(attrs.get("prompt_list")) == bool(attrs.get("archive")):
            raise serializers.ValidationError("Send either prompt_list, with the files that it names, or archive.")
        return attrs


class AddedPromptsSerializer(serializers.Serializer):
    added = serializers.IntegerField()


class MediaSerializer(serializers.ModelSerializer):
    class Meta:
        model = Media
        fields: ClassVar = ["sha256", "size", "kind", "format", "width", "height"]


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


class PromisedSerializer(serializers.Serializer):
    """A promised file. The context's `here` has, by hash, the bytes of those that came in part."""

    path = serializers.CharField()
    sha256 = serializers.CharField()
    size = serializers.IntegerField()
    offset = serializers.SerializerMethodField(help_text="So many of its bytes are here.")

    def get_offset(self, file: Any) -> int:
        sha256 = file["sha256"] if isinstance(file, dict) else file.sha256
        return int(self.context.get("here", {}).get(sha256, 0))


class OffsetSerializer(serializers.Serializer):
    offset = serializers.IntegerField(help_text="So many bytes of the file are here; the next piece begins there.")
    size = serializers.IntegerField()


class QuotaSerializer(serializers.Serializer):
    quota_bytes = serializers.IntegerField(
        min_value=1, max_value=BIGGEST, allow_null=True, help_text="Null: as many as there is room for."
    )


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


class SubmissionSummarySerializer(serializers.ModelSerializer):
    study = serializers.CharField(source="checkpoint.study.slug")
    checkpoint = CheckpointSerializer()
    url = serializers.SerializerMethodField(help_text="Its page, for people.")

    class Meta:
        model = Submission
        fields: ClassVar = ["id", "state", "url", "study", "checkpoint", "created_at", "completed_at"]

    def get_url(self, submission: Submission) -> str:
        return settings.SITE_URL + reverse("submission", args=[submission.pk])


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


class CheckpointFactsSerializer(serializers.Serializer):
    name = serializers.CharField()
    family = serializers.CharField(default="", allow_blank=True)
    step = serializers.IntegerField(default=None, allow_null=True, min_value=0, max_value=BIGGEST)
    latency_p50 = serializers.FloatField(default=None, allow_null=True, help_text="Seconds per output.")
    latency_p95 = serializers.FloatField(default=None, allow_null=True, help_text="Seconds per output.")
    price = serializers.FloatField(default=None, allow_null=True, help_text="US dollars per output.")
    gpu = serializers.CharField(default="", allow_blank=True)
    dtype = serializers.CharField(default="", allow_blank=True)
    notes = serializers.CharField(default="", allow_blank=True)


class ManifestFileSerializer(serializers.Serializer):
    path = serializers.CharField(max_length=1000, trim_whitespace=False)
    sha256 = serializers.CharField(max_length=64)
    # An empty file and a prompt that is too long are refused where the sentence names the file.
    size = serializers.IntegerField(min_value=0, max_value=BIGGEST)
    prompt = serializers.CharField(max_length=1000, trim_whitespace=False)
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


class ManifestSerializer(serializers.Serializer):
    checkpoint = CheckpointFactsSerializer()
    files = ManifestFilesField()

    def facts(self) -> CheckpointFacts:
        return CheckpointFacts(**self.validated_data["checkpoint"])

    def manifest(self) -> list[ManifestFile]:
        files: list[ManifestFile] = self.validated_data["files"]
        return files


class WithdrawalSerializer(serializers.Serializer):
    reason = serializers.CharField(max_length=500, help_text="Everybody who sees the study can read it.")


class EntrySerializer(serializers.Serializer):
    path = serializers.CharField()
    state = serializers.CharField(help_text="received")


class ReceivedSerializer(serializers.Serializer):
    entries = EntrySerializer(many=True, help_text="The manifest's lines that this file answers.")
    submission = serializers.CharField(help_text="The submission's state: incomplete or complete.")
