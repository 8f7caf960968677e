"""The API for programs: log in, look at studies, submit outputs. Everything goes through `access`."""

import uuid

from django.contrib.auth import authenticate
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.generics import ListAPIView
from rest_framework.pagination import CursorPagination
from rest_framework.parsers import MultiPartParser
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import ScopedRateThrottle
from rest_framework.views import APIView

from evalhub.problems import Refusal
from evalhub.studies import services
from evalhub.studies.access import (
    NO_STUDIES,
    Actor,
    get_study,
    get_submission,
    get_submission_to_withdraw,
    may_create_studies,
    visible_studies,
)
from evalhub.studies.idempotency import idempotent
from evalhub.studies.models import ApiToken, Prompt, Study, Submission, User
from evalhub.studies.serializers import (
    AddedPromptsSerializer,
    LoginSerializer,
    ManifestSerializer,
    NewStudySerializer,
    PromptFilesSerializer,
    PromptSerializer,
    QuotaSerializer,
    StudySerializer,
    SubmissionSerializer,
    SubmissionSummarySerializer,
    TokenSerializer,
    UsageSerializer,
    WithdrawalSerializer,
)
from evalhub.studies.services import Question


class WrongLogin(Refusal):
    """No active account has that name and password."""

    status = 401


class LoginView(APIView):
    authentication_classes = ()
    permission_classes = (AllowAny,)
    throttle_classes = (ScopedRateThrottle,)
    throttle_scope = "login"

    @extend_schema(operation_id="login", auth=[], request=LoginSerializer, responses={201: TokenSerializer})
    def post(self, request: Request) -> Response:
        """Exchange a name and a password for a token."""
        asked = LoginSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        who = asked.validated_data
        user = authenticate(request._request, username=who["username"], password=who["password"])
        if not isinstance(user, User):
            raise WrongLogin("No active account has this name and password; check both, or reset the password.")
        token, secret = services.create_token(user=user, name=who["name"], scope=who["scope"])
        told = TokenSerializer({"token": secret, "expiry": token.expiry})
        return Response(told.data, status=status.HTTP_201_CREATED)


class LogoutView(APIView):
    @extend_schema(operation_id="logout", request=None, responses={204: None})
    def post(self, request: Request) -> Response:
        """Revoke the token that signs this request."""
        if not isinstance(request.auth, ApiToken):
            raise Refusal("Only a token is revoked here; sign this request with the one that is to go.")
        services.revoke_token(token=request.auth)
        return Response(status=status.HTTP_204_NO_CONTENT)


class StudyPages(CursorPagination):
    ordering = ("slug",)


class StudyListView(ListAPIView):
    serializer_class = StudySerializer
    pagination_class = StudyPages

    def get_queryset(self) -> QuerySet[Study]:
        if getattr(self, "swagger_fake_view", False):  # the schema is drawn without a user
            return Study.objects.none()
        return visible_studies(Actor.of(self.request))

    @extend_schema(operation_id="studies")
    def get(self, request: Request) -> Response:
        """The studies that you are a member of."""
        return self.list(request)

    @extend_schema(operation_id="create_study", request=NewStudySerializer, responses={201: StudySerializer})
    def post(self, request: Request) -> Response:
        """Make a draft, of which you become the owner."""
        actor = Actor.of(request)
        if not may_create_studies(actor):
            raise PermissionDenied(NO_STUDIES)
        asked = NewStudySerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        given = dict(asked.validated_data)
        questions = [Question(**question) for question in given.pop("questions", [])]
        with transaction.atomic():
            study = services.create_study(actor=actor.user, **given)
            if questions:
                services.set_criteria(study=study, questions=questions, actor=actor.user)
        return Response(StudySerializer(study).data, status=status.HTTP_201_CREATED)


class StudyView(APIView):
    @extend_schema(operation_id="study", responses=StudySerializer)
    def get(self, request: Request, slug: str) -> Response:
        """One study."""
        return Response(StudySerializer(get_study(Actor.of(request), slug, "see")).data)


class QuotaView(APIView):
    @extend_schema(operation_id="quota", responses=UsageSerializer)
    def get(self, request: Request, slug: str) -> Response:
        """How many bytes the study holds, has been promised, and takes."""
        study = get_study(Actor.of(request), slug, "see")
        return Response(UsageSerializer(services.usage(study)).data)

    @extend_schema(operation_id="set_quota", request=QuotaSerializer, responses=UsageSerializer)
    def put(self, request: Request, slug: str) -> Response:
        """Say how many bytes the study takes. What is here, or promised, stays."""
        actor = Actor.of(request)
        study = get_study(actor, slug, "manage")
        asked = QuotaSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        study = services.set_quota(study=study, quota_bytes=asked.validated_data["quota_bytes"], actor=actor.user)
        return Response(UsageSerializer(services.usage(study)).data)


class PromptPages(CursorPagination):
    ordering = ("position", "id")
    page_size = 1000


class PromptListView(ListAPIView):
    parser_classes = (MultiPartParser,)
    serializer_class = PromptSerializer
    pagination_class = PromptPages

    def get_queryset(self) -> QuerySet[Prompt]:
        if getattr(self, "swagger_fake_view", False):
            return Prompt.objects.none()
        study = get_study(Actor.of(self.request), self.kwargs["slug"], "see")
        return study.prompts.select_related("source", "mask", "reference")

    @extend_schema(operation_id="prompts")
    def get(self, request: Request, slug: str) -> Response:
        """What every contestant of the study is asked."""
        return self.list(request)

    @extend_schema(
        operation_id="add_prompts",
        request={"multipart/form-data": PromptFilesSerializer},
        responses={201: AddedPromptsSerializer},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Add prompts to a draft, with their sources, masks and references: all of them, or none."""
        actor = Actor.of(request)
        study = get_study(actor, slug, "manage")
        asked = PromptFilesSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        count = services.add_prompts(study=study, actor=actor.user, **asked.validated_data)
        return Response({"added": count}, status=status.HTTP_201_CREATED)


class SubmissionPages(CursorPagination):
    ordering = ("-created_at", "-id")


class SubmissionListView(ListAPIView):
    serializer_class = SubmissionSummarySerializer
    pagination_class = SubmissionPages

    def get_queryset(self) -> QuerySet[Submission]:
        if getattr(self, "swagger_fake_view", False):
            return Submission.objects.none()
        study = get_study(Actor.of(self.request), self.kwargs["slug"], "see")
        return Submission.objects.filter(checkpoint__study=study).select_related("checkpoint__study")

    @extend_schema(operation_id="submissions")
    def get(self, request: Request, slug: str) -> Response:
        """What has been submitted to the study, newest first."""
        return self.list(request)

    @extend_schema(operation_id="submit", request=ManifestSerializer, responses=SubmissionSerializer)
    def post(self, request: Request, slug: str) -> Response:
        """Begin a submission or go on with one; answers with the files that are still to be sent."""
        actor = Actor.of(request)
        study = get_study(actor, slug, "submit")
        asked = ManifestSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        submission = services.receive_manifest(
            study=study, actor=actor.user, checkpoint=asked.facts(), files=asked.manifest()
        )
        return Response(SubmissionSerializer(submission).data)


class SubmissionView(APIView):
    @extend_schema(operation_id="submission", responses=SubmissionSerializer)
    def get(self, request: Request, submission_id: uuid.UUID) -> Response:
        """How far a submission has come."""
        return Response(SubmissionSerializer(get_submission(Actor.of(request), submission_id, "see")).data)


class CompleteView(APIView):
    @extend_schema(operation_id="complete", request=None, responses=SubmissionSerializer)
    def post(self, request: Request, submission_id: uuid.UUID) -> Response:
        """Ask that a submission be complete: the same answer when it is, 409 with what is missing when not."""
        submission = get_submission(Actor.of(request), submission_id, "submit")
        return Response(SubmissionSerializer(services.complete_submission(submission=submission)).data)


class WithdrawView(APIView):
    @extend_schema(operation_id="withdraw", request=WithdrawalSerializer, responses=SubmissionSummarySerializer)
    @idempotent
    def post(self, request: Request, submission_id: uuid.UUID) -> Response:
        """Withdraw the submission's checkpoint: it stays listed, with its votes, and raters are not shown it again."""
        actor = Actor.of(request)
        submission = get_submission_to_withdraw(actor, submission_id)
        asked = WithdrawalSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        submission.checkpoint = services.withdraw_checkpoint(
            checkpoint=submission.checkpoint, actor=actor.user, reason=asked.validated_data["reason"]
        )
        return Response(SubmissionSummarySerializer(submission).data)


class RestoreView(APIView):
    @extend_schema(operation_id="restore", request=None, responses=SubmissionSummarySerializer)
    @idempotent
    def post(self, request: Request, submission_id: uuid.UUID) -> Response:
        """Take the withdrawal of the submission's checkpoint back."""
        actor = Actor.of(request)
        submission = get_submission_to_withdraw(actor, submission_id)
        submission.checkpoint = services.restore_checkpoint(checkpoint=submission.checkpoint, actor=actor.user)
        return Response(SubmissionSummarySerializer(submission).data)


class NothingView(APIView):
    """Every address below /api/v1/ that is none."""

    permission_classes = (AllowAny,)
    schema = None

    def initial(self, request: Request, *args: object, **kwargs: object) -> None:
        raise Http404
