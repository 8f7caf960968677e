"""The API for programs: log in, look at studies, submit outputs. Everything goes through `access`."""

from datetime import timedelta
from uuid import UUID

from django.contrib.auth import authenticate
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.parsers import MultiPartParser
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from evalhub.asking import View
from evalhub.pages import Pages
from evalhub.problems import Refusal
from evalhub.schema import refused
from evalhub.studies import services
from evalhub.studies.access import (
    NO_STUDIES,
    Actor,
    get_study,
    get_submission,
    get_submission_to_withdraw,
    may_create_studies,
    tokens_of,
    visible_studies,
)
from evalhub.studies.idempotency import idempotent
from evalhub.studies.models import ApiToken, Submission, User
from evalhub.studies.queries import (
    PromptQuery,
    StudyQuery,
    SubmissionQuery,
    TokenQuery,
    narrowed_studies,
    narrowed_submissions,
)
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
    TokenInListSerializer,
    TokenSerializer,
    UsageSerializer,
    WithdrawalSerializer,
)
from evalhub.studies.services import Question


class WrongLogin(Refusal):
    """No active account has that name and password."""

    status = 401


class LoginView(View):
    authentication_classes = ()
    permission_classes = (AllowAny,)
    rate = "login"

    @extend_schema(
        operation_id="login",
        auth=[],
        request=LoginSerializer,
        responses={201: TokenSerializer, **refused(401, 403, 404)},
    )
    def post(self, request: Request) -> Response:
        """Exchange a name and a password for a token."""
        asked = LoginSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        who = asked.validated_data
        user = authenticate(request._request, username=who["username"], password=who["password"])
        if not isinstance(user, User):
            raise WrongLogin("No active account has this name and password; check both, or reset the password.")
        days, slug = who["days"], who["study"]
        token, secret = services.create_token(
            user=user,
            name=who["name"],
            scope=who["scope"],
            study=get_study(Actor(user), slug, "see") if slug else None,
            expiry=timedelta(days=days) if days else None,
        )
        told = TokenSerializer({"token": secret, "expiry": token.expiry})
        return Response(told.data, status=status.HTTP_201_CREATED)


class LogoutView(View):
    is_for_reading_tokens_too = True  # which may give itself up

    @extend_schema(operation_id="logout", request=None, responses={204: None, **refused(422)})
    def post(self, request: Request) -> Response:
        """Revoke the token that signs this request."""
        if not isinstance(request.auth, ApiToken):
            raise Refusal("Only a token is revoked here; sign this request with the one that is to go.")
        services.revoke_token(token=request.auth)
        return Response(status=status.HTTP_204_NO_CONTENT)


class TokenPages(Pages):
    ordering = ("-created",)


class TokensView(View):
    pagination_class = TokenPages
    queries = {"GET": TokenQuery}

    @extend_schema(operation_id="tokens", responses=TokenInListSerializer(many=True))
    def get(self, request: Request) -> Response:
        """Your tokens, the newest first: what each may do, until when, and when it was last used.

        A token that is bound to a study sees only those bound to the same.
        """
        lookups = {"scope": "scope", "study": "study__slug"}
        found = tokens_of(Actor.of(request)).filter(**{lookups[name]: said for name, said in self.asked.items()})
        return self.page(found, TokenInListSerializer)


class TokenView(View):
    @extend_schema(operation_id="revoke_token", responses={204: None})
    def delete(self, request: Request, token_id: str) -> Response:
        """Revoke one of your tokens."""
        services.revoke_token(token=get_object_or_404(tokens_of(Actor.of(request)), pk=token_id))
        return Response(status=status.HTTP_204_NO_CONTENT)


class StudyPages(Pages):
    ordering = ("slug",)


class StudiesView(View):
    pagination_class = StudyPages
    queries = {"GET": StudyQuery}

    @extend_schema(operation_id="studies", responses=StudySerializer(many=True))
    def get(self, request: Request) -> Response:
        """The studies that you are a member of."""
        return self.page(narrowed_studies(visible_studies(Actor.of(request)), self.asked), StudySerializer)

    @extend_schema(
        operation_id="create_study",
        request=NewStudySerializer,
        responses={201: StudySerializer, **refused(409, 422)},
    )
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


class StudyView(View):
    @extend_schema(operation_id="study", responses=StudySerializer)
    def get(self, request: Request, slug: str) -> Response:
        """One study."""
        return Response(StudySerializer(get_study(Actor.of(request), slug, "see")).data)


class QuotaView(View):
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


class PromptPages(Pages):
    ordering = ("position", "id")
    page_size = 1000


class PromptsView(View):
    parser_classes = (MultiPartParser,)
    pagination_class = PromptPages
    queries = {"GET": PromptQuery}

    @extend_schema(operation_id="prompts", responses=PromptSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """What every contestant of the study is asked."""
        prompts = get_study(Actor.of(request), slug, "see").prompts.select_related("source", "mask", "reference")
        if "tag" in self.asked:
            prompts = prompts.filter(tags__contains=[self.asked["tag"]])
        return self.page(prompts, PromptSerializer)

    @extend_schema(
        operation_id="add_prompts",
        request={"multipart/form-data": PromptFilesSerializer},
        responses={201: AddedPromptsSerializer, **refused(409, 422)},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Add prompts to a draft, with their sources, masks and references: all of them, or none."""
        actor = Actor.of(request)
        study = get_study(actor, slug, "manage")
        asked = PromptFilesSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        count = services.add_prompts(study=study, actor=actor.user, **asked.validated_data)
        return Response({"added": count}, status=status.HTTP_201_CREATED)


class SubmissionPages(Pages):
    ordering = ("-created_at", "-id")


class SubmissionsView(View):
    pagination_class = SubmissionPages
    queries = {"GET": SubmissionQuery}

    @extend_schema(operation_id="submissions", responses=SubmissionSummarySerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """What has been submitted to the study, newest first."""
        study = get_study(Actor.of(request), slug, "see")
        found = Submission.objects.filter(checkpoint__study=study).select_related("checkpoint__study")
        return self.page(narrowed_submissions(found, self.asked), SubmissionSummarySerializer)

    @extend_schema(
        operation_id="submit",
        request=ManifestSerializer,
        responses={200: SubmissionSerializer, **refused(409, 422)},
    )
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


class SubmissionView(View):
    @extend_schema(operation_id="submission", responses=SubmissionSerializer)
    def get(self, request: Request, submission_id: UUID) -> Response:
        """How far a submission has come."""
        return Response(SubmissionSerializer(get_submission(Actor.of(request), submission_id, "see")).data)


class CompleteView(View):
    @extend_schema(operation_id="complete", request=None, responses={200: SubmissionSerializer, **refused(409, 422)})
    def post(self, request: Request, submission_id: UUID) -> Response:
        """Ask that a submission be complete: the same answer when it is, 409 with what is missing when not."""
        submission = get_submission(Actor.of(request), submission_id, "submit")
        return Response(SubmissionSerializer(services.complete_submission(submission=submission)).data)


class WithdrawView(View):
    @extend_schema(
        operation_id="withdraw",
        request=WithdrawalSerializer,
        responses={200: SubmissionSummarySerializer, **refused(409, 422)},
    )
    @idempotent
    def post(self, request: Request, submission_id: UUID) -> Response:
        """Withdraw the submission's checkpoint: it stays listed, with its votes, and raters are not shown it again."""
        actor = Actor.of(request)
        submission = get_submission_to_withdraw(actor, submission_id)
        asked = WithdrawalSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        submission.checkpoint = services.withdraw_checkpoint(
            checkpoint=submission.checkpoint, actor=actor.user, reason=asked.validated_data["reason"]
        )
        return Response(SubmissionSummarySerializer(submission).data)


class RestoreView(View):
    @extend_schema(
        operation_id="restore", request=None, responses={200: SubmissionSummarySerializer, **refused(409, 422)}
    )
    @idempotent
    def post(self, request: Request, submission_id: UUID) -> Response:
        """Take the withdrawal of the submission's checkpoint back."""
        actor = Actor.of(request)
        submission = get_submission_to_withdraw(actor, submission_id)
        submission.checkpoint = services.restore_checkpoint(checkpoint=submission.checkpoint, actor=actor.user)
        return Response(SubmissionSummarySerializer(submission).data)


class NothingView(View):
    """Every address below /api/ that is none."""

    permission_classes = (AllowAny,)
    schema = None

    def initial(self, request: Request, *args: object, **kwargs: object) -> None:
        raise Http404
